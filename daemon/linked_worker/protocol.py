"""The protocol between the daemon and the worker of a linked device.

It is :mod:`daemon.worker_protocol` over a socket: requests with ids, each answered once and
then ended; signals as events; heartbeats at all times. The first event is :class:`Hello`, or
:class:`WorkerUnavailable` where the library can't be used. A signal with a number is acknowledged
once it is stored, which alone is not answered; without that it comes again from the next worker.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import msgspec

from daemon.api import signals
from daemon.api.permit import Permit
from daemon.api.signals import Signal
from daemon.worker_protocol import WorkerProtocol

PROTOCOL_VERSION: Final = 3
"""Increased with every change that an older worker or daemon would not understand."""
MAX_LINE_BYTES: Final = 1 << 20
MAX_TEXT_CHARACTERS: Final = 65_536
"""WhatsApp's own limit for a text."""
MAX_NUMBERS: Final = 200
"""The most numbers that one request may check."""
MAX_WAITING_REQUESTS: Final = 16


class ConnectRequest(msgspec.Struct, frozen=True, tag="connect"):
    """Connect with the stored login, or show codes where there is none.

    With ``pairing_phone`` (E.164) that is one code to be typed on the phone of this number.
    """

    pairing_phone: str | None = None

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return "ConnectRequest()"


class SendMessageRequest(msgspec.Struct, frozen=True, tag="send"):
    """Send a text with its permit; ``recipient`` is E.164."""

    permit: Permit
    message: str
    recipient: str
    text: str

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"SendMessageRequest({self.message!r}, {len(self.text)} characters)"


class CheckNumbersRequest(msgspec.Struct, frozen=True, tag="check_numbers"):
    """Ask which of these numbers (E.164) are on WhatsApp."""

    phones: tuple[str, ...]

    def __repr__(self) -> str:
        """Keep the numbers out of logs."""
        return f"CheckNumbersRequest({len(self.phones)} numbers)"


class ListContactsRequest(msgspec.Struct, frozen=True, tag="list_contacts"):
    """Ask which contacts the account has."""


class LogoutRequest(msgspec.Struct, frozen=True, tag="logout"):
    """Unlink this device and delete the stored login."""


class AcknowledgeSignal(msgspec.Struct, frozen=True, tag="acknowledge"):
    """The signal of this number is stored: the worker may forget it. It gives no answer."""

    number: int


LinkedRequest: TypeAlias = (
    ConnectRequest
    | SendMessageRequest
    | CheckNumbersRequest
    | ListContactsRequest
    | LogoutRequest
    | AcknowledgeSignal
)


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The request was carried out."""


class SentAnswer(msgspec.Struct, frozen=True, tag="sent"):
    """The server acknowledged the message under this id."""

    wire_id: str
    at: datetime


class NotSentAnswer(msgspec.Struct, frozen=True, tag="not_sent"):
    """The message certainly did not leave; the fields are those of ``Refused`` in the port."""

    reason_code: str
    sentence: str
    retryable: bool = False
    code: int | None = None


class SendUnknownAnswer(msgspec.Struct, frozen=True, tag="send_unknown"):
    """It is unknown whether the message left."""

    reason_code: str
    sentence: str


class PermitRefusedAnswer(msgspec.Struct, frozen=True, tag="permit_refused"):
    """The permit does not allow this send; nothing was sent."""

    reason_code: str
    sentence: str
    retryable: bool = False


class CheckedNumber(msgspec.Struct, frozen=True):
    """One number's answer: yes, no or unknown; address and hidden id where given."""

    phone: str
    answer: str
    lid: str | None = None
    whatsapp_id: str | None = None

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return f"CheckedNumber({self.answer})"


class NumbersAnswer(msgspec.Struct, frozen=True, tag="numbers"):
    """The answers of a number check."""

    numbers: tuple[CheckedNumber, ...]


class ListedContact(msgspec.Struct, frozen=True):
    """A contact of the account: every identity of theirs, and their name."""

    identities: tuple[str, ...]
    name: str = ""


class ContactsAnswer(msgspec.Struct, frozen=True, tag="contacts"):
    """Contacts of the account; sent in parts."""

    contacts: tuple[ListedContact, ...]


class FailedAnswer(msgspec.Struct, frozen=True, tag="failed"):
    """The request could not be carried out; for a send see the other answers."""

    sentence: str


LinkedAnswer: TypeAlias = (
    Done
    | SentAnswer
    | NotSentAnswer
    | SendUnknownAnswer
    | PermitRefusedAnswer
    | NumbersAnswer
    | ContactsAnswer
    | FailedAnswer
)


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The worker is ready for requests. ``login`` says whether a login is stored."""

    protocol: int
    driver: str
    driver_version: str
    library_version: str
    login: bool


class WorkerUnavailable(msgspec.Struct, frozen=True, tag="unavailable"):
    """The worker can't serve; the sentence says why, and what to do.

    ``retryable``: it may be able to, a moment later.
    """

    sentence: str
    retryable: bool = False


class SignalReport(msgspec.Struct, frozen=True, tag="signal"):
    """A signal of the port, by the name of its class; with a number, it is to be acknowledged."""

    name: str
    fields: dict[str, Any]
    number: int = 0

    def __repr__(self) -> str:
        """Keep bodies and numbers out of logs."""
        return f"SignalReport({self.name})"


LinkedEvent: TypeAlias = Hello | WorkerUnavailable | SignalReport

_SIGNAL_TYPES: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in vars(signals).values()
        if isinstance(kind, type) and issubclass(kind, Signal) and kind is not Signal
    }
)


def encode_signal(signal: Signal) -> SignalReport:
    """Return the frame of a signal."""
    kind = type(signal)
    if _SIGNAL_TYPES.get(kind.__name__) is not kind:
        raise TypeError(f"{kind.__name__} is no signal of the port.")
    return SignalReport(kind.__name__, msgspec.to_builtins(signal))


def decode_signal(report: SignalReport) -> Signal:
    """Return the signal of a report; raise :class:`msgspec.ValidationError` where it is none."""
    kind = _SIGNAL_TYPES.get(report.name)
    if kind is None:
        raise msgspec.ValidationError(f"{report.name} is no signal of the port.")
    signal: Signal = msgspec.convert(report.fields, kind)
    return signal


def build_protocol() -> WorkerProtocol[LinkedRequest, LinkedAnswer, None, LinkedEvent]:
    """Return the types of the frames."""
    return WorkerProtocol(
        request=LinkedRequest,
        answer=LinkedAnswer,
        event=LinkedEvent,
        max_line_bytes=MAX_LINE_BYTES,
    )
