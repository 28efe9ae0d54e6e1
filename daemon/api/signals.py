"""Signals: typed facts that a transport reports.

A transport never reconnects by itself and never decides; the session that owns it reads these and
drives its state machines. Each signal is checked as it comes in: a field of another type, a text
that can't be stored or a time without zone sets that signal aside, under the channel's name. Where
an identity belongs, the raw name of a library may stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from daemon.api.identity import Identity


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


class RefusalKind(StrEnum):
    """Why a platform does not let a session connect; each leads to one state of the session."""

    LOGGED_OUT = "logged_out"
    BANNED = "banned"
    """For a time; ``until`` says for how long, where the platform tells it."""
    BLOCKED = "blocked"
    OUTDATED = "outdated"
    REPLACED = "replaced"
    SERVER_TROUBLE = "server_trouble"
    """The platform's own failure: the session comes back later."""
    REJECTED = "rejected"
    """Anything that trying again soon does not mend."""


REFUSAL_KINDS: Final = {
    400: RefusalKind.REJECTED,
    401: RefusalKind.LOGGED_OUT,
    402: RefusalKind.BANNED,
    403: RefusalKind.BLOCKED,
    405: RefusalKind.OUTDATED,
    406: RefusalKind.BLOCKED,
    409: RefusalKind.REJECTED,
    415: RefusalKind.REJECTED,
    418: RefusalKind.REJECTED,
    440: RefusalKind.REPLACED,
    500: RefusalKind.SERVER_TROUBLE,
    501: RefusalKind.REJECTED,
    503: RefusalKind.SERVER_TROUBLE,
}
"""What WhatsApp's codes mean; any other code is taken for trouble on its side."""


@dataclass(frozen=True, slots=True)
class ConnectionRefused(Signal):
    """The platform refused the login or the connection.

    ``code`` and ``ban_code`` are the platform's numbers and ``detail`` its own word, where it
    gives any. ``until`` is when a ban ends, aware.
    """

    kind: RefusalKind
    code: int | None = None
    ban_code: int | None = None
    until: datetime | None = None
    detail: str = ""

    @classmethod
    def from_code(
        cls, code: int, ban_code: int | None = None, until: datetime | None = None
    ) -> ConnectionRefused:
        """Return the refusal that one of WhatsApp's codes stands for."""
        kind = REFUSAL_KINDS.get(code, RefusalKind.SERVER_TROUBLE)
        return cls(kind, code, ban_code, until)


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


class Origin(StrEnum):
    """When a session learned of a message."""

    LIVE = "live"
    OFFLINE = "offline"
    """It waited on the platform while the session was away."""
    HISTORY = "history"
    """It is part of the past that a platform replays when a phone is linked."""


class InboundKind(StrEnum):
    """What a message is; the text of any but ``text`` is its caption, and may be empty."""

    TEXT = "text"
    MEDIA = "media"
    LOCATION = "location"
    CONTACT = "contact"
    VOICE = "voice"
    REACTION = "reaction"
    """Its text is the emoji."""
    EDIT = "edit"
    """Its text is the new one; ``quoted_id`` names the message that was changed."""
    DELETION = "deletion"
    POLL = "poll"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class InboundMessage(Signal):
    """A message from a contact.

    ``aliases`` are other names of the sender that came with it (the number beside a hidden id).
    ``written_at`` is the sender's clock, aware; the daemon bounds it to its own. ``quoted_id`` is
    the wire id of the message that it answers, reacts to, edits or deletes. ``automatic``: the
    platform marks it as sent by a program.
    """

    wire_id: str
    sender: Identity
    text: str
    written_at: datetime
    kind: InboundKind = InboundKind.TEXT
    origin: Origin = Origin.LIVE
    aliases: tuple[Identity, ...] = ()
    push_name: str = ""
    quoted_id: str | None = None
    automatic: bool = False

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"InboundMessage({self.wire_id!r}, {self.kind}, {len(self.text)} characters)"


@dataclass(frozen=True, slots=True)
class OwnMessage(Signal):
    """A message that the account's owner typed on the phone itself.

    ``text_hash`` is :func:`daemon.api.text.hash_folded_text` of its text, made where the text is:
    the text does not travel. None where the message has no text.
    """

    wire_id: str
    recipient: Identity
    written_at: datetime
    text_hash: str | None = None
    origin: Origin = Origin.LIVE


class ReceiptKind(StrEnum):
    """What a receipt says about a message that we sent."""

    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Receipt(Signal):
    """The platform's word on a message, by its acknowledged id and recipient.

    Of a failed one's reasons, ``undeliverable`` and ``refused_marketing`` tell something of the
    person; ``code`` is the platform's number, where there is one.
    """

    wire_id: str
    recipient: Identity
    kind: ReceiptKind
    at: datetime
    reason_code: str = ""
    code: int | None = None


@dataclass(frozen=True, slots=True)
class AliasLearned(Signal):
    """Two names belong to one person: a hidden or business-scoped id, and a phone number."""

    alias: Identity
    phone: Identity
