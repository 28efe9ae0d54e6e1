"""Every event as a frozen struct: the vocabulary of the log, the bus and the WebSocket.

An event is stored in the transaction that changes the state and published after
its commit. :class:`SessionQrShown` and :class:`SessionPairingCodeShown` are never stored: a code
that links a phone is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

EVENT_CLASSES: dict[str, type[DomainEvent]] = {}
"""Each event class by its type word, such as ``message.changed``."""


class DomainEvent(Struct, frozen=True):
    """Something that happened at ``at`` to ``subject``, the id that readers filter by."""

    event_type: ClassVar[str] = ""
    subject: str
    at: datetime

    def __init_subclass__(cls) -> None:
        """Register the class in :data:`EVENT_CLASSES`."""
        super().__init_subclass__()
        if cls.event_type:
            EVENT_CLASSES[cls.event_type] = cls

    @property
    def type(self) -> str:
        """Return the event's type, such as ``message.changed``."""
        return self.event_type

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the event's own fields as plain JSON types."""
        own: dict[str, Any] = msgspec.to_builtins(self)
        del own["subject"], own["at"]
        return own


def decode_event(type_: str, subject: str, at: datetime, data: Mapping[str, Any]) -> DomainEvent:
    """Return the event that was stored under this type word with this data."""
    return msgspec.convert({**data, "subject": subject, "at": at}, EVENT_CLASSES[type_])


class SessionChanged(DomainEvent, frozen=True):
    """A session's state changed; the fields are those of its view (subject: the session's name)."""

    event_type: ClassVar[str] = "session.changed"
    state: str
    status: str
    phone_state: str
    sending: str
    desired: str
    reason_code: str
    sentence: str
    user_action: str
    since: datetime
    deadline: datetime | None
    pairing: str = "none"
    pairing_method: str = "qr"


class SessionDeleted(DomainEvent, frozen=True):
    """A session was unlinked and deleted; its name stays taken (subject: the session's name)."""

    event_type: ClassVar[str] = "session.deleted"
    who: str


class SessionQrShown(DomainEvent, frozen=True):
    """A pairing code can be scanned until ``expires_at``; never stored (subject: the session)."""

    event_type: ClassVar[str] = "session.qr_shown"
    code: str
    index: int
    maximum: int
    expires_at: datetime

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"SessionQrShown({self.subject!r}, {self.index} of {self.maximum})"


class SessionPairingCodeShown(DomainEvent, frozen=True):
    """A code can be typed on the phone until ``expires_at``; never stored (subject: the session).

    It is written as on the phone, in two halves: ``ABCD-1234``.
    """

    event_type: ClassVar[str] = "session.pairing_code_shown"
    code: str
    expires_at: datetime

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"SessionPairingCodeShown({self.subject!r})"


class MessageChanged(DomainEvent, frozen=True):
    """A message moved from ``previous`` to ``state``, and why (subject: the message id)."""

    event_type: ClassVar[str] = "message.changed"
    state: str
    previous: str | None
    reason_code: str
    sentence: str
    session: str
    channel: str
    contact: str
    decision: str | None = None
    due_at: datetime | None = None
    waits_for: str | None = None
    blocked_by: str | None = None


class ExpiryAnnounced(DomainEvent, frozen=True):
    """A message expires within a day, at ``expires_at``, and why (subject: the message id).

    Announced once for each message.
    """

    event_type: ClassVar[str] = "message.expiry_announced"
    session: str
    contact: str
    expires_at: datetime
    reason_code: str
    sentence: str


class InboundReceived(DomainEvent, frozen=True):
    """A contact wrote to us; ``request`` is what the text asks for (subject: the inbound id).

    ``origin`` is ``live``, ``offline`` (sent while the session was not connected) or ``history``.
    """

    event_type: ClassVar[str] = "inbound.received"
    session: str
    contact: str
    prospect: str | None
    request: str
    cancelled_messages: int
    kind: str = "text"
    origin: str = "live"


class InboundClassified(DomainEvent, frozen=True):
    """A person said what a message of a contact means (subject: the inbound id).

    ``released_messages`` are evaluated again; ``cancelled_messages`` are not sent.
    """

    event_type: ClassVar[str] = "inbound.classified"
    contact: str
    prospect: str | None
    meaning: str
    who: str
    released_messages: int
    cancelled_messages: int


class CampaignChanged(DomainEvent, frozen=True):
    """A campaign moved from ``previous`` to ``state`` (subject: the campaign id).

    ``who`` is ``breaker`` where that paused it.
    """

    event_type: ClassVar[str] = "campaign.changed"
    state: str
    previous: str
    who: str
    reason: str


class CampaignPersonChanged(DomainEvent, frozen=True):
    """A person of a campaign moved from ``previous`` to ``state`` (subject: the campaign id)."""

    event_type: ClassVar[str] = "campaign.person_changed"
    prospect: str
    state: str
    previous: str
    reason_code: str
    sentence: str


class ConversationChanged(DomainEvent, frozen=True):
    """A person did something with a chat (subject: the contact id).

    ``change`` is ``taken``, ``returned``, ``viewing``, ``stopped_viewing``, ``writing``,
    ``stopped_writing``, ``closed``, ``reopened``, ``snoozed``, ``woken``, ``outcome``,
    ``outcome_undone``, ``data_asked``, ``data_given``, ``became_prospect``, ``made_private`` or
    ``forgotten``.
    """

    event_type: ClassVar[str] = "conversation.changed"
    change: str
    who: str


class SignalQuarantined(DomainEvent, frozen=True):
    """A signal from a channel could not be stored (subject: the id in quarantine).

    ``request`` is what the part of the text that could be kept asks for; ``contact`` is None where
    the sender is unknown.
    """

    event_type: ClassVar[str] = "signal.quarantined"
    session: str
    signal: str
    reason_code: str
    sentence: str
    request: str
    contact: str | None


class SignalSettled(DomainEvent, frozen=True):
    """A person settled a quarantined signal (subject: the id in quarantine)."""

    event_type: ClassVar[str] = "signal.settled"
    session: str
    who: str
    reason: str


class ContactSuppressed(DomainEvent, frozen=True):
    """A contact was suppressed: no message may go to them (subject: the contact id)."""

    event_type: ClassVar[str] = "contact.suppressed"
    source: str
    reason: str
    aliases: int
    cancelled_messages: int


class ContactReopened(DomainEvent, frozen=True):
    """A suppression was lifted by the contact, or corrected (subject: the contact id)."""

    event_type: ClassVar[str] = "contact.reopened"
    source: str
    reason: str


class ProspectChanged(DomainEvent, frozen=True):
    """A prospect's validation or score changed (subject: the prospect id)."""

    event_type: ClassVar[str] = "prospect.changed"
    validation: str
    validado_tecnicamente: bool | None
    score_contactabilidad: int | None
    permission: str
    reason_code: str
    sentence: str


class ImportFinished(DomainEvent, frozen=True):
    """A list was imported (subject: the import id); counts are records."""

    event_type: ClassVar[str] = "import.finished"
    filename: str
    accepted: int
    duplicates: int
    rejected: int


class ImportUndone(DomainEvent, frozen=True):
    """A person undid an import (subject: the import id); counts are records with a person."""

    event_type: ClassVar[str] = "import.undone"
    filename: str
    removed: int
    stayed: int


class DeliveryFrozen(DomainEvent, frozen=True):
    """A batch of people for a client was frozen (subject: the delivery id)."""

    event_type: ClassVar[str] = "delivery.frozen"
    number: int
    client: str
    rows: int
    who: str


class DeliveryRowChanged(DomainEvent, frozen=True):
    """A row was accepted, disputed, replaced or withdrawn (subject: the delivery id).

    ``who`` is ``deadline`` where nobody disputed it in time.
    """

    event_type: ClassVar[str] = "delivery.row_changed"
    row: int
    state: str
    previous: str
    who: str


class HistoryRecorded(DomainEvent, frozen=True):
    """A former system's history was imported, or a person said that there is none.

    Subject: the id of the import, or ``installation``; ``records`` is 0 for the latter.
    """

    event_type: ClassVar[str] = "history.recorded"
    who: str
    records: int


class SendingHalted(DomainEvent, frozen=True):
    """A person halted all sending, until somebody resumes it (subject: ``installation``)."""

    event_type: ClassVar[str] = "sending.halted"
    who: str
    reason: str


class SendingResumed(DomainEvent, frozen=True):
    """A person lifted the halt (subject: ``installation``)."""

    event_type: ClassVar[str] = "sending.resumed"
    who: str
    reason: str


class AlertChanged(DomainEvent, frozen=True):
    """Something that wakes a person began or ended (subject: a session, or ``installation``)."""

    event_type: ClassVar[str] = "alert.changed"
    code: str
    sentence: str
    ended: bool


class NewChatsStopped(DomainEvent, frozen=True):
    """The breaker stopped a number's new chats, and why; replies go on (subject: the number).

    ``detail`` has what was counted, such as ``3 of 20``, or what the platform announced.
    """

    event_type: ClassVar[str] = "number.new_chats_stopped"
    cause: str
    detail: str
    sentence: str


class NewChatsResumed(DomainEvent, frozen=True):
    """A person resumed a number's new chats, with a reason (subject: the number)."""

    event_type: ClassVar[str] = "number.new_chats_resumed"
    who: str
    reason: str


class NewChatsWarned(DomainEvent, frozen=True):
    """Few of a number's first contacts answer; nothing is stopped (subject: the number)."""

    event_type: ClassVar[str] = "number.new_chats_warned"
    sentence: str


class NumberBanned(DomainEvent, frozen=True):
    """The platform banned or blocked a number, until a time if it names one (subject: the ban)."""

    event_type: ClassVar[str] = "number.banned"
    session: str
    reason_code: str
    until: datetime | None


class DecisionRecorded(DomainEvent, frozen=True):
    """A person decided up to which value something is allowed (subject: such as ``budget.…``)."""

    event_type: ClassVar[str] = "decision.recorded"
    who: str
    value: float
    reason: str


class ClockStepped(DomainEvent, frozen=True):
    """The wall clock was set forward, or back where negative (subject: ``installation``)."""

    event_type: ClassVar[str] = "clock.stepped"
    seconds: float


class RulesLoaded(DomainEvent, frozen=True):
    """A rule set went live (subject: its hash)."""

    event_type: ClassVar[str] = "rules.loaded"
    format: str
    engine: str
    files: tuple[str, ...]
    how: str = "loaded"
    who: str = "daemon"


class RuleFilesRejected(DomainEvent, frozen=True):
    """Changed rule files have problems; the live set stays (subject: the live gate's hash)."""

    event_type: ClassVar[str] = "rules.rejected"
    problems: tuple[str, ...]
    """`file:line:column: sentence` of each."""


class RulesAwaitingAcceptance(DomainEvent, frozen=True):
    """Changed rule files are valid, and wait to be accepted (subject: the hash to accept)."""

    event_type: ClassVar[str] = "rules.awaiting_acceptance"
    format: str
    changes: tuple[str, ...]
    files: tuple[str, ...]


class GateFaulted(DomainEvent, frozen=True):
    """The gate could not judge and failed closed (subject: the message id)."""

    event_type: ClassVar[str] = "gate.faulted"
    reason_code: str
    sentence: str


class PluginFailed(DomainEvent, frozen=True):
    """A plugin's hook raised or ran out of time (subject: the plugin's name)."""

    event_type: ClassVar[str] = "plugin.failed"
    hook: str
    sentence: str


def list_data_fields(kind: type[DomainEvent]) -> tuple[str, ...]:
    """Return the data fields of an event class, in order, for the generated reference."""
    return tuple(name for name in kind.__struct_fields__ if name not in {"subject", "at"})
