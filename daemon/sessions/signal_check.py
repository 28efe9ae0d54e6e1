"""Checks every signal of a transport, before any other code reads it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from msgspec import Struct

from daemon.api import signals
from daemon.api.identity import Identity, IdentityKind, NotAContact, parse_identity
from daemon.api.signals import (
    ConnectionRefused,
    Paired,
    PairingCodeIssued,
    QrIssued,
    Receipt,
    RefusalKind,
    SendingRestricted,
    Signal,
)
from daemon.api.transport import Capabilities, Channel

MemberT = TypeVar("MemberT", bound=StrEnum)
KeptValue: TypeAlias = str | int | float | bool | list["KeptValue"] | None

MAX_TEXT_LENGTH: Final = 65_536
"""WhatsApp's own limit for the text of one message, in characters."""

_MAX_LENGTHS: Final = {"text": MAX_TEXT_LENGTH, "code": 4096, "detail": 500, "reason_code": 64}
_MAX_WORD_LENGTH: Final = 255  # wire ids, names: what is not listed above
_MAX_LIST_LENGTH: Final = 16
_MAX_NUMBER: Final = 2**53  # JSON readers round larger ones
_RANGES: Final = {"valid_seconds": (0, 86_400), "index": (1, 1000), "maximum": (1, 1000)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2999  # away from datetime's limits: hours are added to moments
_REQUIRED_WORDS: Final = frozenset({"wire_id", "code"})
_SHORTENED_WORDS: Final = frozenset({"push_name", "detail"})
"""Texts for people alone: cleaned instead of refused, or a broken name would lose an opt-out."""
_SECRET_WORDS: Final = frozenset({"code"})
_KINDS_WITH_SECRETS: Final = frozenset({QrIssued, PairingCodeIssued})
_STAND_INS: Final[Mapping[type[Signal], Mapping[str, object]]] = {
    ConnectionRefused: {
        "kind": RefusalKind.REJECTED,
        "code": None,
        "ban_code": None,
        "until": None,
        "detail": "",
    },
    SendingRestricted: {"reason_code": "sending_restricted", "until": None},
}
"""Defaults for unreadable fields of signals that stop sending: the signal itself must count."""
_NOBODY: Final = frozenset({"empty", "group", "broadcast", "newsletter", "call", "bot", "platform"})
"""Reasons for which a name belongs to no contact. An unreadable name may be somebody's."""

_FIELD_TYPES: Final[Mapping[type, Mapping[str, Any]]] = {
    each: get_type_hints(each)
    for each in vars(signals).values()
    if isinstance(each, type) and issubclass(each, Signal) and each is not Signal
}
"""Every signal class, and the types of its fields by name."""


class ValueRejected(Exception):
    """A value of a transport can't be used; ``problem`` says why, without quoting it."""

    def __init__(self, reason_code: str, problem: str) -> None:
        super().__init__(problem)
        self.reason_code = reason_code
        self.problem = problem


class RejectedSignal(Struct, frozen=True):
    """A signal that can't be stored or understood, and what can be kept of it.

    ``sentence`` names channel, signal and field, but no person. ``kept`` holds the fields by name
    as JSON values: half characters are replaced, secrets and unreadable fields are left out.
    """

    session: str
    channel: str
    signal: str
    reason_code: str
    sentence: str
    kept: Mapping[str, KeptValue]

    def __repr__(self) -> str:
        """Keep the signal's fields out of logs."""
        return f"RejectedSignal({self.session}, {self.channel}, {self.signal}, {self.reason_code})"


class CheckedSignal(Struct, frozen=True):
    """The result of checking one signal.

    ``signal`` is the accepted part, or None; ``rejected`` is the fault that was found, if any;
    ``nobody`` holds the reason codes of its names that belong to no contact.
    """

    signal: Signal | None
    rejected: RejectedSignal | None = None
    nobody: tuple[str, ...] = ()


class SignalChecker(Struct, frozen=True):
    """Checks the signals of one session against their types and the channel's capabilities."""

    session: str
    channel: Channel

    def check(self, signal: object) -> CheckedSignal:
        """Return the result for a signal. Never raises, whatever a transport reports."""
        kind = _find_signal_class(signal)
        if kind is None:
            return self._reject(signal, type(signal), _reject_stranger(signal))
        try:
            _require_capability(kind, self.channel.capabilities)
        except ValueRejected as fault:
            return self._reject(signal, kind, fault)
        return self._check_fields(signal, kind)

    def reject_unstored(self, signal: Signal) -> RejectedSignal:
        """Return the rejection of a signal that passed the check and still could not be stored."""
        fault = ValueRejected("not_stored", "could not be stored; the log says why")
        return self._build_rejection(signal, type(signal), fault)

    def _check_fields(self, signal: object, kind: type[Signal]) -> CheckedSignal:
        values: dict[str, Any] = {}
        nobody: list[str] = []
        rejected = None
        for name, hint in _FIELD_TYPES[kind].items():
            try:
                values[name] = _read_field(signal, kind, name, hint, nobody)
            except NotAContact as refused:
                return CheckedSignal(None, nobody=(*nobody, refused.reason_code))
            except ValueRejected as fault:
                rejected = rejected or self._build_rejection(signal, kind, fault, name)
                if name not in _STAND_INS.get(kind, ()):
                    return CheckedSignal(None, rejected)
                values[name] = _STAND_INS[kind][name]
        return CheckedSignal(kind(**values), rejected, tuple(nobody))

    def _reject(self, signal: object, kind: type, fault: ValueRejected) -> CheckedSignal:
        return CheckedSignal(None, self._build_rejection(signal, kind, fault))

    def _build_rejection(
        self, signal: object, kind: type, fault: ValueRejected, name: str = ""
    ) -> RejectedSignal:
        what = make_storable(f"{kind.__name__}.{name}" if name else kind.__name__)
        sentence = f"The channel {self.channel.name} reported {what}, which {fault.problem}."
        return RejectedSignal(
            self.session,
            self.channel.name,
            make_storable(kind.__name__),
            fault.reason_code,
            sentence,
            _keep_fields(signal, kind),
        )


def _find_signal_class(signal: object) -> type[Signal] | None:
    """Return the signal class of the port that an object is of, also by inheritance, or None."""
    return next((each for each in type(signal).__mro__ if each in _FIELD_TYPES), None)


def _reject_stranger(signal: object) -> ValueRejected:
    if isinstance(signal, Signal):
        return ValueRejected("signal_unknown", "is no signal of the port")
    return ValueRejected("not_a_signal", "is no signal at all")


def _require_capability(kind: type[Signal], capabilities: Capabilities) -> None:
    """Raise for a signal that needs a capability which the channel did not declare."""
    if kind is Receipt and not capabilities.receipts:
        raise ValueRejected("not_declared", "needs a capability that it does not declare: receipts")
    undeclared = (kind is QrIssued and not capabilities.pairing.by_qr) or (
        kind is PairingCodeIssued and not capabilities.pairing.by_code
    )
    if undeclared:
        raise ValueRejected("not_declared", "needs a capability that it does not declare: pairing")


def _read_field(
    signal: object, kind: type[Signal], name: str, hint: object, nobody: list[str]
) -> object:
    try:
        value = getattr(signal, name)
    except Exception:  # noqa: BLE001 - a class of the channel's own may do anything here
        raise ValueRejected("field_missing", "is missing") from None
    if kind is Paired:
        return _check_own_phone(value)
    if hint == tuple[Identity, ...]:
        return _check_identities(value, nobody)
    return check_value(name, value, hint)


def _check_own_phone(value: object) -> str:
    """Return the account's own number in E.164."""
    if not isinstance(value, str):
        raise _reject_type("str", value)
    with contextlib.suppress(NotAContact):
        if (identity := parse_identity(value)).kind is IdentityKind.PHONE:
            return identity.value
    raise ValueRejected("name_unreadable", "is no phone number")


def _check_identities(value: object, nobody: list[str]) -> tuple[Identity, ...]:
    """Return the identities of contacts; add to ``nobody`` why the others are none."""
    if not isinstance(value, list | tuple):
        raise _reject_type("tuple", value)
    if len(value) > _MAX_LIST_LENGTH:
        raise ValueRejected("too_long", f"has more than {_MAX_LIST_LENGTH} entries")
    found = []
    for each in value:
        try:
            found.append(check_identity(each))
        except NotAContact as refused:
            nobody.append(refused.reason_code)
    return tuple(dict.fromkeys(found))


def check_value(name: str, value: object, hint: Any) -> object:  # noqa: ANN401 - any annotation
    """Return the value of a field in its canonical form.

    Raises :class:`ValueRejected` for a value of another type or one that can't be stored, and
    :class:`NotAContact` for a name of no contact.
    """
    if get_origin(hint) is UnionType:
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
        if value is None or (hint is str and value == ""):
            return None
    if hint is str:
        return check_word(name, value)
    if hint is datetime:
        return check_time(value)
    if hint is Identity:
        return check_identity(value)
    if issubclass(hint, StrEnum):
        return check_member(value, hint)
    return _check_number(name, value, hint)


def check_word(name: str, value: object) -> str:
    """Return a text that can be stored; one for people alone is cleaned and shortened instead."""
    if not isinstance(value, str):
        raise _reject_type("str", value)
    limit = _MAX_LENGTHS.get(name, _MAX_WORD_LENGTH)
    if name in _SHORTENED_WORDS:
        return make_storable(value)[:limit]
    if len(value) > limit:
        raise ValueRejected("too_long", f"is longer than {limit:,} characters")
    if name in _REQUIRED_WORDS and not value:
        raise ValueRejected("empty", "is empty")
    if "\0" in value:
        raise ValueRejected("text_unstorable", "holds a NUL character")
    try:
        return _join_surrogates(value, "strict")
    except UnicodeDecodeError:
        raise ValueRejected("text_unstorable", "holds half a character") from None


def check_time(value: object) -> datetime:
    """Return an aware moment, in UTC."""
    if not isinstance(value, datetime):
        raise _reject_type("datetime", value)
    try:
        naive = value.utcoffset() is None
        at = value.replace(tzinfo=UTC) if naive else value.astimezone(UTC)
    except Exception:  # noqa: BLE001 - a zone is code of the channel's own, and calendars end
        raise ValueRejected("time_unusable", "is no moment that can be stored") from None
    if naive:
        raise ValueRejected("time_without_zone", "has no time zone")
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueRejected("time_unusable", "is no moment that can be stored")
    return at


def check_identity(value: object) -> Identity:
    """Return an identity in its canonical form, from an identity or from a raw name.

    Raises :class:`NotAContact` for groups, broadcasts and other names of no contact.
    """
    if isinstance(value, Identity):
        value = value.value
    if not isinstance(value, str):
        raise _reject_type("Identity", value)
    try:
        return parse_identity(value)
    except NotAContact as refused:
        if refused.reason_code in _NOBODY:
            raise
        raise ValueRejected("name_unreadable", "is not an identifier that can be read") from None


def check_member(value: object, kind: type[MemberT]) -> MemberT:
    """Return a member of an enumeration, from a member or from its value."""
    if not isinstance(value, str):
        raise _reject_type(kind.__name__, value)
    try:
        return kind(value)
    except ValueError:
        raise ValueRejected("unknown_word", f"is no word of {kind.__name__}") from None


def _check_number(name: str, value: object, kind: type) -> bool | int | float:
    """Return a bool, an int or a float, as the field's type is."""
    # In Python a bool is an int, but a channel that sends True for a count has mixed up its fields.
    if isinstance(value, bool) or kind is bool:
        if kind is bool and isinstance(value, bool):
            return value
        raise _reject_type(kind.__name__, value)
    if not isinstance(value, int if kind is int else int | float):
        raise _reject_type(kind.__name__, value)
    least, most = _RANGES.get(name, (-_MAX_NUMBER, _MAX_NUMBER))
    if not least <= value <= most:  # NaN fails this comparison too
        raise ValueRejected("number_unusable", f"is not between {least} and {most}")
    return int(value) if kind is int else float(value)


def _reject_type(expected: str, value: object) -> ValueRejected:
    given = make_storable(type(value).__name__)
    return ValueRejected("wrong_type", f"must be {expected}, not {given}")


def make_storable(text: str) -> str:
    """Return a text with replacement signs for half characters and NUL, which can't be stored."""
    return _join_surrogates(text, "replace").replace("\0", "\N{SYMBOL FOR NULL}")


def _join_surrogates(text: str, errors: str) -> str:
    """Return a text with surrogate pairs joined; some JSON decoders leave an emoji in two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)


def _keep_fields(signal: object, kind: type) -> dict[str, KeptValue]:
    """Return the readable fields of a signal by name, as JSON values; never raises."""
    # A channel's own class may be a dataclass, or anything else.
    declared: object = getattr(kind, "__struct_fields__", None) or getattr(
        kind, "__dataclass_fields__", ()
    )
    found = declared if isinstance(declared, tuple | dict) else ()
    names = [each for each in found if isinstance(each, str)]
    kept: dict[str, KeptValue] = {}
    for name in names:
        if kind in _KINDS_WITH_SECRETS and name in _SECRET_WORDS:
            continue
        # An attribute that raises is left out: a class of the channel's own may do anything.
        with contextlib.suppress(Exception):
            kept[make_storable(name)] = _keep_value(getattr(signal, name))
    return kept


def _keep_value(value: object) -> KeptValue:
    if isinstance(value, str):
        return make_storable(value)[:MAX_TEXT_LENGTH]
    if isinstance(value, int | float):
        return value if abs(value) <= _MAX_NUMBER else str(value)[:_MAX_WORD_LENGTH]
    if isinstance(value, datetime | Identity):
        return str(value)
    if isinstance(value, list | tuple):
        return [_keep_value(each) for each in value[:_MAX_LIST_LENGTH]]
    return None if value is None else f"({make_storable(type(value).__name__)})"
