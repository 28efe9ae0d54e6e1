"""Signals: typed facts that a transport reports to its session.

A transport never reconnects and never decides by itself: the session reads its signals and drives
the state machines. Each signal is checked when it arrives; one with a field of another type, a text
that can't be stored or a time without zone is quarantined. In place of an identity a channel may
give the raw address of its library.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from daemon.api.identity import Identity


class Signal(Struct, frozen=True):
    """The base class of all signals."""


class QrIssued(Signal, frozen=True):
    """A new pairing code: number ``index`` of ``maximum``, from 1. The code is a secret."""

    code: str
    index: int
    maximum: int
    valid_seconds: float

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"QrIssued({self.index} of {self.maximum}, {self.valid_seconds:g} s)"


class PairingCodeIssued(Signal, frozen=True):
    """A code to be typed on the phone, instead of a QR code to be scanned. It is a secret."""

    code: str
    valid_seconds: float

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"PairingCodeIssued({self.valid_seconds:g} s)"


class QrExhausted(Signal, frozen=True):
    """Every code of this pairing attempt has expired: nobody scanned or typed one."""


class Scanned(Signal, frozen=True):
    """A phone scanned the code, or it was typed there; pairing has begun."""


class Paired(Signal, frozen=True):
    """The login is stored; ``phone`` is the number that was linked (E.164)."""

    phone: str


class PairingFailed(Signal, frozen=True):
    """The phone or the platform refused the pairing.

    ``code_refused``: the platform gave no code to be typed for the number.
    """

    passkey_requested: bool = False
    code_refused: bool = False


class Connected(Signal, frozen=True):
    """The session is logged in; messages from its time offline are being synced."""


class Synced(Signal, frozen=True):
    """The messages from the time offline are synced: messages may be sent."""


class KeepAlive(Signal, frozen=True):
    """A frame or keep-alive arrived, so the connection is alive."""


class KeepAliveLost(Signal, frozen=True):
    """A keep-alive was not answered."""


class KeepAliveRestored(Signal, frozen=True):
    """The keep-alive is answered again."""


class Disconnected(Signal, frozen=True):
    """The socket closed, or the network failed."""

    detail: str = ""


class RefusalKind(StrEnum):
    """Why a platform refuses a session; each kind leads to one state of the connection."""

    LOGGED_OUT = "logged_out"
    BANNED = "banned"
    """Banned for a time; ``until`` is its end, where the platform names one."""
    BLOCKED = "blocked"
    OUTDATED = "outdated"
    REPLACED = "replaced"
    SERVER_TROUBLE = "server_trouble"
    """A failure of the platform; the session connects again later."""
    REJECTED = "rejected"
    """Any other refusal, which trying again soon does not solve."""


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
"""The kind of refusal for WhatsApp's codes. Any other code counts as SERVER_TROUBLE."""


class ConnectionRefused(Signal, frozen=True):
    """The platform refused the login or the connection.

    ``code`` and ``ban_code`` are the platform's numbers and ``detail`` its text, where it gives
    any. ``until`` is when a ban ends, aware.
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
        """Return the refusal for one of WhatsApp's codes."""
        kind = REFUSAL_KINDS.get(code, RefusalKind.SERVER_TROUBLE)
        return cls(kind, code, ban_code, until)


class StreamErrorUnknown(Signal, frozen=True):
    """The socket is still open, but the platform has ended the login on it."""


class SendingRestricted(Signal, frozen=True):
    """The platform allows no new chats (463, timelock, capping); replies may still be sent."""

    reason_code: str
    until: datetime | None = None


class SendingReopened(Signal, frozen=True):
    """A restriction on new chats has ended."""


class PhoneSeen(Signal, frozen=True):
    """The phone that owns the account was online at this moment (aware)."""

    at: datetime


class TransportDied(Signal, frozen=True):
    """The transport's worker process ended by itself."""

    detail: str = ""


class Origin(StrEnum):
    """How a message reached the session."""

    LIVE = "live"
    OFFLINE = "offline"
    """It waited on the platform while the session was offline."""
    HISTORY = "history"
    """It is part of the history that a platform replays when a phone is linked."""
    IMPORTED = "imported"
    """It is a line of the history of a former system; no session reports it."""


class InboundKind(StrEnum):
    """The kind of a message. For other kinds than ``text`` the text is a caption, or empty."""

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


class InboundMessage(Signal, frozen=True):
    """A message from a contact.

    ``aliases`` are other identities of the sender that came with it (the number beside a hidden
    id). ``written_at`` is by the sender's clock, aware; the daemon bounds it by its own.
    ``quoted_id`` is the wire id of the message that it answers, reacts to, edits or deletes.
    ``automatic``: the platform marks it as sent by a program.
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


class OwnMessage(Signal, frozen=True):
    """A message that the account's owner typed on the phone itself.

    ``text_hash`` is :func:`daemon.api.text.hash_folded_text` of its text, None without one. The
    transport computes it, so that the text of a private chat does not reach the daemon.
    """

    wire_id: str
    recipient: Identity
    written_at: datetime
    text_hash: str | None = None
    origin: Origin = Origin.LIVE


class ReceiptKind(StrEnum):
    """The kind of a receipt for a message that we sent."""

    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class Receipt(Signal, frozen=True):
    """The platform's receipt for a message, by its acknowledged id and its recipient.

    Of the reason codes of a failed one, ``undeliverable`` and ``refused_marketing`` become evidence
    about the contact. ``code`` is the platform's number, where it gives one.
    """

    wire_id: str
    recipient: Identity
    kind: ReceiptKind
    at: datetime
    reason_code: str = ""
    code: int | None = None


class AliasLearned(Signal, frozen=True):
    """A hidden or business-scoped id and a phone number belong to one person."""

    alias: Identity
    phone: Identity
