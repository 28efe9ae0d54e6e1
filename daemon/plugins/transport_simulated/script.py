"""The simulation script, a JSON file: its types, and how it is read and checked."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from daemon.api.signals import InboundKind, Origin
from daemon.api.transport import CannotOpen, OnWhatsApp

SCRIPT_FILE: Final = "script.json"
"""The name of a session's own script, in the session's folder."""
_MAX_FILE_BYTES: Final = 1 << 20
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Times = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Phone = Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}$")]


class SimulationScriptPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the script; unknown keys are errors."""


class ScriptedPairing(StrEnum):
    """What comes of linking a phone."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    PASSKEY = "passkey"
    NO_CODE = "no_code"
    """A code to be typed is not given at all."""
    OTHER_NUMBER = "other_number"
    """A code is typed on another phone than the one whose number was given."""


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


ACTION_MEANINGS: Mapping[ScriptedAction, str] = MappingProxyType(
    {
        ScriptedAction.DISCONNECT: "The socket closes.",
        ScriptedAction.SERVER_ERROR: "The platform has trouble (503).",
        ScriptedAction.SILENCE: "Nothing comes through any more, and nothing is acknowledged.",
        ScriptedAction.RESTORE: "The silence ends, and what it held up comes at once.",
        ScriptedAction.STREAM_ERROR: "The socket stays, and the login on it has ended.",
        ScriptedAction.BAN: "A temporary ban (402) of so many `seconds`.",
        ScriptedAction.BLOCK: "The account is blocked (403).",
        ScriptedAction.LOG_OUT: "The phone unlinks the device (401).",
        ScriptedAction.REPLACE: "Another program takes the login over (440).",
        ScriptedAction.OUTDATE: "The platform refuses this version (405).",
        ScriptedAction.REFUSE: "The connection is refused (400).",
        ScriptedAction.RESTRICT: "New chats are closed for so many `seconds`; replies still go.",
        ScriptedAction.REOPEN: "New chats are open again.",
        ScriptedAction.DIE: "The transport's worker dies.",
        ScriptedAction.WRITE: "A contact writes to us.",
        ScriptedAction.TYPE: "The account's owner types on the phone.",
    }
)


class ReceiptOrder(StrEnum):
    """The order of a message's receipts."""

    IN_ORDER = "in_order"
    REVERSED = "reversed"
    """Read before delivered."""
    EARLY = "early"
    """Both before the acknowledgement."""


class ScriptedReply(SimulationScriptPart, frozen=True):
    """A contact's reply to each delivered message."""

    text: str
    after: Seconds = 2.0
    """Seconds after our message was delivered."""
    from_lid: bool = False
    """The sender is the contact's hidden id."""
    hide_phone: bool = False
    """The number is not reported with it."""
    kind: InboundKind = InboundKind.TEXT
    automatic: bool = False
    """Marked as written by a program."""
    quotes: bool = False
    """The reply quotes our message."""


class ContactBehaviour(SimulationScriptPart, frozen=True):
    """How a contact behaves. Delays are seconds, each counted from the step before.

    A rate is the share of *contacts* who do so; the seed decides which ones.
    """

    on_whatsapp: OnWhatsApp = OnWhatsApp.YES
    ack_delay: Seconds = 0.4
    drop_ack: bool = False
    """The message arrives, but its acknowledgement does not."""
    refuse: str | None = None
    """The reason code of a refusal; `463` also closes new chats."""
    retryable: bool = False
    """The refused message may be tried again."""
    refusal_code: int | None = None
    """The platform's number of the refusal."""
    refusal_detail: str = ""
    """The platform's own text."""
    retry_after: Seconds | None = None
    """How long the platform asks us to wait."""
    deliver_after: Seconds = 1.5
    deliver_rate: Rate = 1.0
    fail_after: Seconds | None = None
    """The message is never delivered, which is reported so long after the acknowledgement."""
    read_after: Seconds = 5.0
    read_rate: Rate = 1.0
    receipts: ReceiptOrder = ReceiptOrder.IN_ORDER
    reply: ScriptedReply | None = None
    reply_rate: Rate = 1.0


class ScriptedEvent(SimulationScriptPart, frozen=True):
    """An event that happens once, `at` seconds after the session was first ready.

    The fields from `contact` on are for `write` (a contact writes to us) and `type` (the owner of
    the account types on the phone).
    """

    at: Seconds
    do: ScriptedAction
    session: str | None = None
    """Only in the session of this name."""
    seconds: Seconds = 3600.0
    """How long a ban or a restriction lasts."""
    code: int | None = None
    """The code of a refused connection, or of a ban."""
    contact: Phone | None = None
    """The contact who writes, or the recipient of what the owner types."""
    text: str = ""
    from_lid: bool = False
    """The sender is the contact's hidden id, with the number beside it."""
    address: str | None = None
    """The identity that the channel reports, in any raw form, in place of the contact's; the
    number of `contact`, if given, is reported as an alias."""
    kind: InboundKind = InboundKind.TEXT
    origin: Origin = Origin.LIVE
    written_ago: float = 0.0
    """Written so many seconds before it is reported; below 0 the writer's clock is ahead."""
    without_zone: bool = False
    """The time of writing has no zone, as a faulty channel reports it."""
    wire_id: str | None = None
    """The message's id; by default it is generated."""
    quoted_id: str | None = None
    """The id of the message that it answers, edits, deletes or reacts to."""
    automatic: bool = False
    """Marked as written by a program."""
    push_name: str = ""
    """The name that the writer chose."""
    times: Times = 1
    """How often it is reported."""


class SimulationScript(SimulationScriptPart, frozen=True):
    """Pairing, events and contacts of a session."""

    scan_after: Seconds | None = 3.0
    """Seconds until the code is scanned or typed; `null`: nobody does."""
    step: Seconds = 0.5
    """How long each step takes: reaching the server, pairing, login, sync."""
    pairing: ScriptedPairing = ScriptedPairing.ACCEPT
    line: tuple[ScriptedEvent, ...] = ()
    defaults: ContactBehaviour = ContactBehaviour()
    """The behaviour of everybody who is not among the contacts."""
    contacts: dict[str, ContactBehaviour] = {}
    """By number; what a contact leaves out is as in the defaults."""


def load_script(path: str) -> SimulationScript:
    """Read the script; with an empty path, one in which every contact answers as hoped.

    Raises :class:`CannotOpen` with a sentence that names file and key.
    """
    if not path:
        return SimulationScript()
    try:
        # Not msgspec, which refuses "\\ud83d": a script may contain the half emoji of a faulty
        # channel.
        document = json.loads(_read_file(path))
    except OSError as error:
        raise CannotOpen(f"{path}: the script can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise CannotOpen(f"{path}: the script is no JSON: {error}.") from error
    try:
        return _parse_script(document)
    except msgspec.ValidationError as error:
        raise CannotOpen(f"{path}: {error}.") from error


def _read_file(path: str) -> bytes:
    """Return a script's bytes; raise OSError for what is no regular file, or too large for one."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, "it is larger than 1 MiB")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    # A pipe without a writer would keep its reader waiting for ever.
    return os.open(path, flags | os.O_NONBLOCK)


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
    speaks = event.do in {ScriptedAction.WRITE, ScriptedAction.TYPE}
    if speaks and event.contact is None and event.address is None:
        raise msgspec.ValidationError(
            f"{where}.contact: {event.do} needs a phone number, or an address"
        )
    return event


def _convert_values(
    where: str, kind: type[SimulationScriptPart], table: Mapping[str, object]
) -> dict[str, Any]:
    """Return a part's values, converted; raise ValidationError naming the key."""
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
