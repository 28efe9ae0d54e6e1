"""Renders the tables of the WebSocket page, and the event types of the Python client."""

from __future__ import annotations

import inspect
import re

import msgspec
from aiohttp import WSCloseCode
from msgspec import Struct

from daemon.events import (
    EVENT_CLASSES,
    DomainEvent,
    SessionPairingCodeShown,
    SessionQrShown,
)
from daemon.http.websocket import client as limits_module
from daemon.http.websocket import frames
from daemon.http.websocket.client import StreamLimits
from daemon.http.websocket.event_feed import GAP_SENTENCES
from daemon.sessions import SessionView
from storage.halts import HaltRecord
from tools.reference_tables import read_attribute_notes, render_table
from tools.struct_fields import read_field_defaults, read_field_types

_STATE_ENUMS = re.compile(r"\b(ConnectionState|PairingMethod|PhoneState|QrState|SendingState)\b")
"""Enumerations of the daemon, which the client has as plain strings."""


def render_gaps() -> str:
    """Return the table of reasons for which a client gets a new snapshot."""
    rows = [(f"`{gap}`", sentence) for gap, sentence in GAP_SENTENCES.items()]
    return render_table(("reason_code", "what it says"), rows)


def render_close_codes() -> str:
    """Return the table of close codes and their reasons."""
    own = [each for each in vars(frames).values() if isinstance(each, frames.CloseReason)]
    named = [(str(int(each.code)), each.reason or "You closed, or hung up.") for each in own]
    others = [
        (str(int(WSCloseCode.POLICY_VIOLATION)), "The code of an error, whose frame came before."),
        (str(int(WSCloseCode.MESSAGE_TOO_BIG)), "A message was too long."),
        (str(int(WSCloseCode.TRY_AGAIN_LATER)), "`unavailable`: there is no room for more."),
    ]
    return render_table(("code", "reason"), sorted(named + others))


def render_limits() -> str:
    """Return the table of limits."""
    notes = read_attribute_notes(limits_module)
    rows = [
        (f"`{field.name}`", f"{field.default:g}", notes["StreamLimits", field.name])
        for field in msgspec.structs.fields(StreamLimits)
    ]
    return render_table(("bound", "value", "meaning"), rows)


def render_client_types() -> str:
    """Return every event, and the parts of a snapshot, as frozen dataclasses."""
    events = [_render_event_class(EVENT_CLASSES[word]) for word in sorted(EVENT_CLASSES)]
    records = [
        _render_record_class(SessionView, "SessionState"),
        _render_record_class(HaltRecord, "Halt"),
    ]
    words = ",\n".join(
        f'    "{word}": {EVENT_CLASSES[word].__name__}' for word in sorted(EVENT_CLASSES)
    )
    register = f"BY_TYPE: dict[str, type[Event]] = {{\n{words},\n}}"
    note = '"""Each class by the `type` of its frames."""'
    return "\n\n\n".join([*records, *events, f"{register}\n{note}"])


def _render_event_class(kind: type[DomainEvent]) -> str:
    own = _render_fields(kind, without={"subject", "at"})
    if kind in {SessionQrShown, SessionPairingCodeShown}:
        own.append("    seconds_left: float = 0.0")
    return _render_class(f"{kind.__name__}(Event)", kind, own)


def _render_record_class(kind: type[Struct], name: str) -> str:
    return _render_class(name, kind, _render_fields(kind, without=set()))


def _render_class(head: str, kind: type[Struct], body: list[str]) -> str:
    text = (inspect.getdoc(kind) or "").splitlines()[0].replace("``", "`")
    lines = [_DECORATOR, f"class {head}:", f'    """{text}"""', "", *body]
    return "\n".join(lines)


_DECORATOR = "@dataclass(frozen=True, slots=True, kw_only=True)"


def _render_fields(kind: type[Struct], without: set[str]) -> list[str]:
    lines = []
    defaults = read_field_defaults(kind)
    for name, type_ in read_field_types(kind).items():
        if name in without:
            continue
        written = _STATE_ENUMS.sub("str", type_)
        default = f" = {_format_literal(defaults[name])}" if name in defaults else ""
        lines.append(f"    {name}: {written}{default}")
    return lines


def _format_literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
