"""Closed word lists that rules, storage and daemon share: channels, message kinds, waits, blocks.

A leaf: it imports nothing, so that child processes and the command line may load it cheaply.
"""

from __future__ import annotations

from enum import StrEnum


class BuiltinChannel(StrEnum):
    """The channels built into the daemon; plugins add others by name."""

    SIMULATED = "simulated"
    LINKED = "linked"
    """A device linked to a phone by QR, or by a code that is typed on it."""
    MANUAL = "manual"
    """An operator sends by hand; every other channel is automatic."""


class NumberAge(StrEnum):
    """How long a number has been in use on WhatsApp, as a person says before it is linked."""

    UNDER_A_WEEK = "under_a_week"
    UNDER_A_MONTH = "under_a_month"
    UNDER_SIX_MONTHS = "under_six_months"
    LONGER = "longer"
    UNKNOWN = "unknown"


class ReportedBan(StrEnum):
    """Whether a number of theirs was banned before, as a person says before one is linked."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class BreakerCause(StrEnum):
    """Why the breaker stopped the new chats of a number."""

    OPT_OUTS = "opt_outs"
    COMPLAINTS = "complaints"
    UNDELIVERED = "undelivered"
    UNANSWERED = "unanswered"
    RESTRICTED = "restricted"
    """The platform closed new chats: error 463, a timelock, a cap, or a warning."""
    BANNED = "banned"


class MessageKind(StrEnum):
    """The kind of a message, derived by the gate; used in rule files and in the column `kind`."""

    REPLY = "reply"
    TRANSACTIONAL = "transactional"
    COMMERCIAL = "commercial"
    OPT_OUT_CONFIRMATION = "opt_out_confirmation"


class WaitsFor(StrEnum):
    """What ends the deferral of a message, where it is not a time."""

    CHECKED = "checked"
    """The recipient's number was checked."""
    SESSION = "session"
    """The session can send."""
    HALT = "halt"
    """A person resumed sending."""
    REGISTER = "register"
    """A newer do-not-call register was imported."""


class NumberCheckBlock(StrEnum):
    """Why no session may check the number that a message waits for."""

    PHONE_LINKED_RECENTLY = "phone_linked_recently"
    """A phone checks no numbers in its first days here; after them it may."""
    NO_PHONE_CHECKS = "no_phone_checks"
    """No phone that could check numbers is linked and started."""


class BlockedBy(StrEnum):
    """Why the messages of a session can't be sent, until a person acts or for long."""

    SESSION_STOPPED = "session_stopped"
    SESSION_UNLINKED = "session_unlinked"
    """No phone is linked: nobody scanned a code yet, or a person unlinked it."""
    SESSION_QR_EXPIRED = "session_qr_expired"
    SESSION_LOGGED_OUT = "session_logged_out"
    """The phone unlinked the session."""
    SESSION_REPLACED = "session_replaced"
    SESSION_BANNED_TEMPORARILY = "session_banned_temporarily"
    SESSION_BLOCKED = "session_blocked"
    SESSION_OUTDATED = "session_outdated"
    SESSION_FAILED = "session_failed"
    SESSION_DELETED = "session_deleted"
    SESSION_REPLY_ONLY = "session_reply_only"
    """The platform allows no new chats; replies are sent."""
    NUMBER_BANNED = "number_banned"
    """The number was banned: nothing is sent from it by hand either."""


class AlertCode(StrEnum):
    """What is wrong where a person is woken."""

    NUMBER_BANNED = "number_banned"
    SESSION_LOGGED_OUT = "session_logged_out"
    """The phone unlinked the session."""
    SESSION_DOWN = "session_down"
    """The session ended for another reason that needs a person."""
    SESSION_DISCONNECTED = "session_disconnected"
    """The session has tried to connect for long, and is not connected."""
    PHONE_UNSEEN = "phone_unseen"
    """The phone was offline for so long that it may be unlinked."""
    NEW_CHATS_STOPPED = "new_chats_stopped"
    """The breaker stopped the new chats of a number."""
    HALT = "halt"
    WRITES_REFUSED = "writes_refused"
    """The disk is full, or another program replaced the database."""
    BACKUP_FAILED = "backup_failed"
    BACKUP_LATE = "backup_late"
    QUEUE_BLOCKED = "queue_blocked"
    """Messages wait for a session that can't send."""
    REVIEW_LATE = "review_late"
    """Something has waited in the review for hours."""


class NoticeKind(StrEnum):
    """What is sent to the people who are woken."""

    BEGAN = "began"
    ENDED = "ended"
    MORNING = "morning"
    TEST = "test"
