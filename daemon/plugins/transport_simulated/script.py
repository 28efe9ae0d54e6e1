"""The simulation script: a JSON file, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from daemon.api.transport import CannotOpen, OnWhatsApp

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Phone = Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]


class SimulationScriptPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the script; a key that it does not know is an error, never ignored."""


class ScriptedPairing(StrEnum):
    """What becomes of a scanned code."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    PASSKEY = "passkey"


class ScriptedAction(StrEnum):
    """An event that a script causes on a connection."""

    DISCONNECT = "disconnect"
    SERVER_ERROR = "server_error"
    SILENCE = "silence"
    RESTORE = "restore"
    STREAM_ERROR = "stream_error"
    BAN = "ban"
    BLOCK = "block"
    LOG_OUT = "log_out"
    REPLACE = "replace"
    OUTDATE = "outdate"
    REFUSE = "refuse"
    RESTRICT = "restrict"
    REOPEN = "reopen"
    DIE = "die"
    WRITE = "write"
    TYPE = "type"


class ScriptedReply(SimulationScriptPart, frozen=True):
    """What a contact writes back, ``after`` seconds after our message was delivered.

    ``from_lid``: the sender is the contact's hidden id; ``hide_phone``: the number is not told.
    """

    text: str
    after: Seconds = 2.0
    from_lid: bool = False
    hide_phone: bool = False


class ContactBehaviour(SimulationScriptPart, frozen=True):
    """How contacts behave. Delays are seconds, each counted from the step before.

    ``refuse`` is the code of a refusal ("463" also closes new chats); ``drop_ack`` means that the
    message arrives and its acknowledgement does not; a rate is the share of *contacts* who do so.
    """

    on_whatsapp: OnWhatsApp = OnWhatsApp.YES
    ack_delay: Seconds = 0.4
    drop_ack: bool = False
    refuse: str | None = None
    retryable: bool = False
    deliver_after: Seconds = 1.5
    deliver_rate: Rate = 1.0
    fail_after: Seconds | None = None
    read_after: Seconds = 5.0
    read_rate: Rate = 1.0
    reply: ScriptedReply | None = None
    reply_rate: Rate = 1.0


class ScriptedEvent(SimulationScriptPart, frozen=True):
    """Something that happens once, ``at`` seconds after the session was ready for the first time.

    ``session``: only to the session of this name. ``seconds``: how long a ban or a restriction
    lasts. ``code``: of a refused connection; of a ban, its own code. ``contact`` and ``text``: who
    writes (``write``), or to whom the owner types on the phone (``type``).
    """

    at: Seconds
    do: ScriptedAction
    session: str | None = None
    seconds: Seconds = 3600.0
    code: int | None = None
    contact: Phone | None = None
    text: str = ""
    from_lid: bool = False


class SimulationScript(SimulationScriptPart, frozen=True):
    """Pairing, events and contacts of a session. ``scan_after`` null: nobody scans the code.

    ``step``: how long each step on the way up takes: reaching the server, pairing, login, sync.
    """

    scan_after: Seconds | None = 3.0
    step: Seconds = 0.5
    pairing: ScriptedPairing = ScriptedPairing.ACCEPT
    line: tuple[ScriptedEvent, ...] = ()
    defaults: ContactBehaviour = ContactBehaviour()
    contacts: dict[str, ContactBehaviour] = {}


def load_script(path: str) -> SimulationScript:
    """Read the script; an empty path is the friendly world.

    Raises :class:`CannotOpen` with a sentence that names file and key.
    """
    if not path:
        return SimulationScript()
    try:
        document = msgspec.json.decode(Path(path).read_bytes())
    except OSError as error:
        raise CannotOpen(f"{path}: the script can't be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise CannotOpen(f"{path}: the script is no JSON: {error}.") from error
    try:
        return _parse_script(document)
    except msgspec.ValidationError as error:
        raise CannotOpen(f"{path}: {error}.") from error


def _parse_script(document: object) -> SimulationScript:
    tables = dict(_require_object("script", document))
    defaults = _require_object("defaults", tables.pop("defaults", {}))
    contacts = _require_object("contacts", tables.pop("contacts", {}))
    line = _require_list("line", tables.pop("line", []))
    return SimulationScript(
        **_convert_values("", SimulationScript, tables),
        defaults=ContactBehaviour(**_convert_values("defaults.", ContactBehaviour, defaults)),
        contacts={phone: _parse_contact(phone, defaults, own) for phone, own in contacts.items()},
        line=tuple(_parse_event(index, each) for index, each in enumerate(line)),
    )


def _parse_contact(phone: str, defaults: Mapping[str, object], own: object) -> ContactBehaviour:
    where = f"contacts.{phone}"
    _convert_value(where, phone, Phone)
    return ContactBehaviour(
        **_convert_values(
            f"{where}.", ContactBehaviour, {**defaults, **_require_object(where, own)}
        )
    )


def _parse_event(index: int, document: object) -> ScriptedEvent:
    where = f"line[{index}]"
    table = _require_object(where, document)
    if not {"at", "do"} <= set(table):
        raise msgspec.ValidationError(f"{where}: needs at (seconds) and do (what happens)")
    event = ScriptedEvent(**_convert_values(f"{where}.", ScriptedEvent, table))
    if event.do in {ScriptedAction.WRITE, ScriptedAction.TYPE} and event.contact is None:
        raise msgspec.ValidationError(f"{where}.contact: {event.do} needs a phone number")
    return event


def _convert_values(
    where: str, kind: type[SimulationScriptPart], table: Mapping[str, object]
) -> dict[str, Any]:
    """Convert key by key, so that the sentence can name the key."""
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for key, value in table.items():
        if key not in hints:
            known = ", ".join(hints)
            raise msgspec.ValidationError(f"{where}{key}: there is no such key; there are {known}")
        values[key] = _convert_value(where + key, value, hints[key])
    return values


def _convert_value(where: str, value: object, kind: object) -> object:
    try:
        converted: object = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{where}: {error}") from error
    return converted


def _require_object(where: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"{where}: must be an object")
    return value


def _require_list(where: str, value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise msgspec.ValidationError(f"{where}: must be a list")
    return value
