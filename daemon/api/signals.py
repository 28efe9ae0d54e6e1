"""Signals: typed facts that a transport reports.

A transport never reconnects by itself and never decides; the session that owns it reads these and
drives its state machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Signal:
    """Marker for everything that a transport's stream may carry."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class QrIssued(Signal):
    """Code ``index`` of ``maximum`` (1-based) is on show. The code is a secret."""

    code: str
    index: int
    maximum: int
    valid_seconds: float

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"QrIssued({self.index} of {self.maximum}, {self.valid_seconds:g} s)"


@dataclass(frozen=True, slots=True)
class QrExhausted(Signal):
    """Every code of this pairing has run out unscanned."""


@dataclass(frozen=True, slots=True)
class Scanned(Signal):
    """A phone scanned the code; pairing has begun."""


@dataclass(frozen=True, slots=True)
class Paired(Signal):
    """The login is stored; ``phone`` is the number that was linked (E.164)."""

    phone: str


@dataclass(frozen=True, slots=True)
class PairingFailed(Signal):
    """The phone or the platform refused the pairing."""

    passkey_requested: bool = False


@dataclass(frozen=True, slots=True)
class Connected(Signal):
    """Logged in; the offline queue is being synced."""


@dataclass(frozen=True, slots=True)
class Synced(Signal):
    """The offline queue is through: messages may be sent."""


@dataclass(frozen=True, slots=True)
class KeepAlive(Signal):
    """A frame or keep-alive came in: the line lives."""


@dataclass(frozen=True, slots=True)
class KeepAliveLost(Signal):
    """The keep-alive went unanswered."""


@dataclass(frozen=True, slots=True)
class KeepAliveRestored(Signal):
    """The keep-alive is answered again."""


@dataclass(frozen=True, slots=True)
class Disconnected(Signal):
    """The socket closed, or the network failed."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionRefused(Signal):
    """The platform refused the login or the connection with ``code``.

    400 409 415 418 501 failed · 401 logged out · 402 temporary ban ·
    403 406 blocked · 405 outdated · 440 replaced · 500 503 server trouble.
    """

    code: int
    ban_code: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StreamErrorUnknown(Signal):
    """The socket stays up but the platform has logged us out of it."""


@dataclass(frozen=True, slots=True)
class SendingRestricted(Signal):
    """New chats are closed (463, timelock, capping); replies still go."""

    reason_code: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendingReopened(Signal):
    """A restriction on new chats has ended."""


@dataclass(frozen=True, slots=True)
class PhoneSeen(Signal):
    """The phone that owns the account was online at ``at``."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TransportDied(Signal):
    """The worker behind the transport ended without being asked to."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage(Signal):
    """A message from a contact. ``sender`` may be a LID; ``sender_phone`` if known."""

    wire_id: str
    sender: str
    sender_phone: str | None
    text: str
    at: datetime
    push_name: str = ""

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"InboundMessage({self.wire_id!r}, {len(self.text)} characters)"


@dataclass(frozen=True, slots=True)
class OwnMessage(Signal):
    """A message that the account's owner typed on the phone itself."""

    wire_id: str
    recipient: str
    at: datetime


class ReceiptKind(StrEnum):
    """What a receipt says about a message that we sent."""

    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Receipt(Signal):
    """The platform's word on a message, by its acknowledged id and recipient.

    Of a failed one's reasons, `undeliverable` and `refused_marketing` tell something of the person.
    """

    wire_id: str
    recipient: str
    kind: ReceiptKind
    at: datetime
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class LidLearned(Signal):
    """A hidden id and a phone number are the same person."""

    lid: str
    phone: str
