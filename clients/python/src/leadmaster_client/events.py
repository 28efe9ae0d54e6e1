"""The types of the stream: every event, and the parts of a snapshot. Written by `make docs`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened `at` to `subject`; `seq` is its number in the log of `epoch`.

    Both are None for a pairing code, which is never stored.
    """

    subject: str
    at: datetime
    seq: int | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this client does not know, from a newer daemon."""

    type: str
    data: dict[str, Any]


# [[[cog
# from tools import websocket_reference
# cog.outl(websocket_reference.render_client_types())
# ]]]
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """The present state of one session. Moments are aware UTC; `status` is WAHA's term."""

    name: str
    channel: str
    phone: str | None
    time_zone: str
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
    sending_until: datetime | None
    banned_until: datetime | None
    phone_seen_at: datetime | None
    attempts: int
    pairing: str
    pairing_method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt in force: who stopped sending, when and why."""

    at: datetime
    who: str
    reason: str
    stored: bool = True
    replies_go: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChanged(Event):
    """Something that wakes a person began or ended (subject: a session, or `installation`)."""

    code: str
    sentence: str
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChanged(Event):
    """A campaign moved from `previous` to `state` (subject: the campaign id)."""

    state: str
    previous: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPersonChanged(Event):
    """A person of a campaign moved from `previous` to `state` (subject: the campaign id)."""

    prospect: str
    state: str
    previous: str
    reason_code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStepped(Event):
    """The wall clock was set forward, or back where negative (subject: `installation`)."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactReopened(Event):
    """A suppression was lifted by the contact, or corrected (subject: the contact id)."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSuppressed(Event):
    """A contact was suppressed: no message may go to them (subject: the contact id)."""

    source: str
    reason: str
    aliases: int
    cancelled_messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationChanged(Event):
    """A person did something with a chat (subject: the contact id)."""

    change: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecorded(Event):
    """A person decided up to which value something is allowed (subject: such as `budget.…`)."""

    who: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFrozen(Event):
    """A batch of people for a client was frozen (subject: the delivery id)."""

    number: int
    client: str
    rows: int
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRowChanged(Event):
    """A row was accepted, disputed, replaced or withdrawn (subject: the delivery id)."""

    row: int
    state: str
    previous: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFaulted(Event):
    """The gate could not judge and failed closed (subject: the message id)."""

    reason_code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRecorded(Event):
    """A former system's history was imported, or a person said that there is none."""

    who: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFinished(Event):
    """A list was imported (subject: the import id); counts are records."""

    filename: str
    accepted: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportUndone(Event):
    """A person undid an import (subject: the import id); counts are records with a person."""

    filename: str
    removed: int
    stayed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundClassified(Event):
    """A person said what a message of a contact means (subject: the inbound id)."""

    contact: str
    prospect: str | None
    meaning: str
    who: str
    released_messages: int
    cancelled_messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundReceived(Event):
    """A contact wrote to us; `request` is what the text asks for (subject: the inbound id)."""

    session: str
    contact: str
    prospect: str | None
    request: str
    cancelled_messages: int
    kind: str = "text"
    origin: str = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageChanged(Event):
    """A message moved from `previous` to `state`, and why (subject: the message id)."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryAnnounced(Event):
    """A message expires within a day, at `expires_at`, and why (subject: the message id)."""

    session: str
    contact: str
    expires_at: datetime
    reason_code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberBanned(Event):
    """The platform banned or blocked a number, until a time if it names one (subject: the ban)."""

    session: str
    reason_code: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChatsResumed(Event):
    """A person resumed a number's new chats, with a reason (subject: the number)."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChatsStopped(Event):
    """The breaker stopped a number's new chats, and why; replies go on (subject: the number)."""

    cause: str
    detail: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChatsWarned(Event):
    """Few of a number's first contacts answer; nothing is stopped (subject: the number)."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailed(Event):
    """A plugin's hook raised or ran out of time (subject: the plugin's name)."""

    hook: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProspectChanged(Event):
    """A prospect's validation or score changed (subject: the prospect id)."""

    validation: str
    validado_tecnicamente: bool | None
    score_contactabilidad: int | None
    permission: str
    reason_code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesAwaitingAcceptance(Event):
    """Changed rule files are valid, and wait to be accepted (subject: the hash to accept)."""

    format: str
    changes: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesLoaded(Event):
    """A rule set went live (subject: its hash)."""

    format: str
    engine: str
    files: tuple[str, ...]
    how: str = "loaded"
    who: str = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFilesRejected(Event):
    """Changed rule files have problems; the live set stays (subject: the live gate's hash)."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingHalted(Event):
    """A person halted all sending, until somebody resumes it (subject: `installation`)."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingResumed(Event):
    """A person lifted the halt (subject: `installation`)."""

    who: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged(Event):
    """A session's state changed; the fields are those of its view (subject: the session's name)."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDeleted(Event):
    """A session was unlinked and deleted; its name stays taken (subject: the session's name)."""

    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPairingCodeShown(Event):
    """A code can be typed on the phone until `expires_at`; never stored (subject: the session)."""

    code: str
    expires_at: datetime
    seconds_left: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQrShown(Event):
    """A pairing code can be scanned until `expires_at`; never stored (subject: the session)."""

    code: str
    index: int
    maximum: int
    expires_at: datetime
    seconds_left: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalQuarantined(Event):
    """A signal from a channel could not be stored (subject: the id in quarantine)."""

    session: str
    signal: str
    reason_code: str
    sentence: str
    request: str
    contact: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSettled(Event):
    """A person settled a quarantined signal (subject: the id in quarantine)."""

    session: str
    who: str
    reason: str


BY_TYPE: dict[str, type[Event]] = {
    "alert.changed": AlertChanged,
    "campaign.changed": CampaignChanged,
    "campaign.person_changed": CampaignPersonChanged,
    "clock.stepped": ClockStepped,
    "contact.reopened": ContactReopened,
    "contact.suppressed": ContactSuppressed,
    "conversation.changed": ConversationChanged,
    "decision.recorded": DecisionRecorded,
    "delivery.frozen": DeliveryFrozen,
    "delivery.row_changed": DeliveryRowChanged,
    "gate.faulted": GateFaulted,
    "history.recorded": HistoryRecorded,
    "import.finished": ImportFinished,
    "import.undone": ImportUndone,
    "inbound.classified": InboundClassified,
    "inbound.received": InboundReceived,
    "message.changed": MessageChanged,
    "message.expiry_announced": ExpiryAnnounced,
    "number.banned": NumberBanned,
    "number.new_chats_resumed": NewChatsResumed,
    "number.new_chats_stopped": NewChatsStopped,
    "number.new_chats_warned": NewChatsWarned,
    "plugin.failed": PluginFailed,
    "prospect.changed": ProspectChanged,
    "rules.awaiting_acceptance": RulesAwaitingAcceptance,
    "rules.loaded": RulesLoaded,
    "rules.rejected": RuleFilesRejected,
    "sending.halted": SendingHalted,
    "sending.resumed": SendingResumed,
    "session.changed": SessionChanged,
    "session.deleted": SessionDeleted,
    "session.pairing_code_shown": SessionPairingCodeShown,
    "session.qr_shown": SessionQrShown,
    "signal.quarantined": SignalQuarantined,
    "signal.settled": SignalSettled,
}
"""Each class by the `type` of its frames."""
# [[[end]]]
