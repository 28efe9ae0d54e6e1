"""The transitions of one session: state machines, deadlines and backoff. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from daemon.sessions.signal_mapping import DEADLINE_REASONS, ConnectionTrigger
from daemon.settings import SessionSettings
from statemachines.machine import IllegalTransition, fire_event, restore_machine
from statemachines.qr import (
    PAIRING_WINDOW_SECONDS,
    PairingMethod,
    QrEvent,
    QrMachine,
    QrState,
)
from statemachines.session import (
    CONNECTION_DEADLINES,
    MUST_ACKNOWLEDGE_STATES,
    NEEDS_PERSON_STATES,
    ConnectionEvent,
    ConnectionMachine,
    ConnectionState,
    PhoneEvent,
    PhoneMachine,
    PhoneState,
    SendingEvent,
    SendingMachine,
    SendingState,
)
from storage.numbers import REPLY_ONLY_AFTER_BAN
from storage.sessions import SessionRecord

SHIPPED_SETTINGS = SessionSettings()
BACKOFF_MAX_DOUBLINGS = 20  # far past the cap; a float overflows at 1024


def compute_backoff_delay(
    attempts: int, rng: Random, settings: SessionSettings = SHIPPED_SETTINGS
) -> float:
    """Return the seconds to wait after ``attempts`` reconnects in a row, in whole milliseconds.

    Between half and all of 2, 4, 8 … seconds, at most 15 minutes, as they are shipped.
    """
    # Random, so that the sessions of one daemon do not all reconnect in the same second.
    doubled = settings.backoff_seconds * 2 ** min(attempts, BACKOFF_MAX_DOUBLINGS)
    longest = min(settings.longest_backoff_seconds, doubled)
    return round(rng.uniform(longest / 2, longest), 3)


BAN_WITHOUT_EXPIRY = timedelta(hours=24)
COMMAND_EVENTS = frozenset(
    {
        ConnectionEvent.START,
        ConnectionEvent.STOP,
        ConnectionEvent.RESTART,
        ConnectionEvent.ACKNOWLEDGE,
    }
)
STATES_WITHOUT_CONNECTION = NEEDS_PERSON_STATES | {ConnectionState.STOPPED, ConnectionState.BACKOFF}
_PAIRING_STATES = frozenset({ConnectionState.AWAITING_SCAN, ConnectionState.PAIRING})
_PAIRING_EVENTS = {event.value for event in QrEvent} - {QrEvent.CANCELLED.value}


class SessionMachines(Struct, frozen=True):
    """The state machines of a session's three regions."""

    connection: ConnectionMachine
    phone: PhoneMachine
    sending: SendingMachine

    @classmethod
    def from_record(cls, record: SessionRecord) -> SessionMachines:
        """Build the machines in the stored states, without running entry actions."""
        return cls(
            restore_machine(ConnectionMachine, record.connection),
            restore_machine(PhoneMachine, record.phone_state),
            restore_machine(SendingMachine, record.sending),
        )


class SessionTransitions:
    """The state machines of one session, and the record with their states.

    Each method returns the record after an event and changes only the machines; :meth:`accept`
    makes a record the present one, :meth:`revert` resets the machines to it. An illegal event
    raises ``IllegalTransition`` and changes nothing.
    """

    def __init__(
        self, record: SessionRecord, rng: Random, settings: SessionSettings = SHIPPED_SETTINGS
    ) -> None:
        self.record = record
        self._rng = rng
        self._settings = settings
        self._machines = SessionMachines.from_record(record)
        self._retried = False
        self._crashes: deque[datetime] = deque(maxlen=settings.crashes)

    def accept(self, record: SessionRecord) -> None:
        """Make a record the present one."""
        self.record = record

    def revert(self) -> None:
        """Reset the machines to the present record's states."""
        record = self.record
        if self.get_states() != (record.connection, record.phone_state, record.sending):
            self._machines = SessionMachines.from_record(record)

    def get_states(self) -> tuple[ConnectionState, PhoneState, SendingState]:
        """Return the states of the three machines."""
        machines = self._machines
        return (
            machines.connection.model.state,
            machines.phone.model.state,
            machines.sending.model.state,
        )

    # Connection.

    def apply_trigger(self, trigger: ConnectionTrigger, now: datetime) -> SessionRecord:
        """Return the record after an event of the connection, with the other regions it changes."""
        if trigger.event is ConnectionEvent.WORKER_DIED and self._is_crash_looping(now):
            trigger = ConnectionTrigger(ConnectionEvent.CRASHED_TOO_OFTEN, "crashed_too_often")
        before = self.record
        if trigger.event is ConnectionEvent.QR_EXHAUSTED and _is_paired_by_code(before):
            trigger = ConnectionTrigger(trigger.event, "pairing_code_expired")
        state = fire_event(self._machines.connection, trigger.event)
        if trigger.event in COMMAND_EVENTS:
            self._reset_counters()
        after = replace(
            before,
            connection=state,
            reason_code=trigger.reason_code,
            fault="",
            since=before.since if state is before.connection else now,
            due_at=self._compute_due_at(trigger, state, now),
            attempts=self._count_attempts(trigger, state),
        )
        return self._update_other_regions(trigger, after, now)

    def reconnect_after_restart(self, now: datetime, at: datetime) -> SessionRecord:
        """Return the record of a session that reconnects ``at`` after the daemon restarted."""
        before = self.record
        if before.connection is ConnectionState.BACKOFF:
            # A restart must not shorten the backoff.
            return replace(before, due_at=max(before.due_at or at, at))
        # Not by apply_trigger(): that would count the restart as a crash of the channel.
        state = fire_event(self._machines.connection, ConnectionEvent.WORKER_DIED)
        return replace(
            before,
            connection=state,
            pairing=self._follow_pairing(ConnectionEvent.WORKER_DIED, state),
            reason_code="daemon_restarted",
            since=now,
            due_at=at,
        )

    def apply_deadline(self, now: datetime) -> SessionRecord:
        """Return the record after the connection's deadline."""
        state = self.record.connection
        event = ConnectionEvent(CONNECTION_DEADLINES[state].event)
        return self.apply_trigger(ConnectionTrigger(event, DEADLINE_REASONS[state]), now)

    def move_back(self, by: timedelta, *, now: datetime, seen: datetime) -> SessionRecord | None:
        """Return the record with its deadline moved back by ``by``, or None where it stays.

        ``seen`` is the last comparison of the clocks, in the present reading of the wall clock.
        """
        crashes = [crash - by if crash > now else crash for crash in self._crashes]
        self._crashes = deque(crashes, maxlen=self._settings.crashes)
        record = self.record
        # The end of a ban is a moment that the platform named, and not a length of time.
        banned = record.connection is ConnectionState.BANNED_TEMPORARILY
        # A state entered since `seen`, and not in the future, has its deadline by the new time.
        if record.due_at is None or banned or seen <= record.since <= now:
            return None
        return replace(record, due_at=record.due_at - by)

    def reset_backoff(self) -> SessionRecord | None:
        """Return the record with the backoff reset, or None where there is nothing to reset."""
        self._reset_counters()
        return replace(self.record, attempts=0) if self.record.attempts else None

    def _reset_counters(self) -> None:
        self._retried = False
        self._crashes.clear()

    def _is_crash_looping(self, now: datetime) -> bool:
        self._crashes.append(now)
        window = timedelta(seconds=self._settings.crash_window_seconds)
        recent = [crash for crash in self._crashes if now - crash < window]
        return len(recent) >= self._settings.crashes

    def _count_attempts(self, trigger: ConnectionTrigger, state: ConnectionState) -> int:
        if trigger.event in COMMAND_EVENTS:
            return 0
        return self.record.attempts + (state is ConnectionState.BACKOFF)

    def _compute_due_at(
        self, trigger: ConnectionTrigger, state: ConnectionState, now: datetime
    ) -> datetime | None:
        due = self._compute_new_due_at(trigger, state, now)
        current = self.record.due_at if state is self.record.connection else None
        if trigger.event is ConnectionEvent.BANNED:
            return max(due or now, current or now)  # a ban reported again never gets shorter
        # In the same state, a repeated signal must not put its deadline off for ever.
        return min(due, current) if due and current else due

    def _compute_new_due_at(
        self, trigger: ConnectionTrigger, state: ConnectionState, now: datetime
    ) -> datetime | None:
        if state is ConnectionState.BACKOFF:
            delay = compute_backoff_delay(self.record.attempts, self._rng, self._settings)
            return now + timedelta(seconds=delay)
        if state is ConnectionState.BANNED_TEMPORARILY:
            expired = trigger.event is ConnectionEvent.BAN_EXPIRED
            return None if expired else trigger.until or now + BAN_WITHOUT_EXPIRY
        if state is ConnectionState.FAILED and not self._may_retry(trigger):
            return None
        seconds = self._get_deadline_seconds(trigger.event, state)
        return None if seconds is None else now + timedelta(seconds=seconds)

    def _get_deadline_seconds(self, event: ConnectionEvent, state: ConnectionState) -> float | None:
        settings = self._settings
        if event is ConnectionEvent.STREAM_ERROR_UNKNOWN:
            return settings.stream_error_seconds
        if event is ConnectionEvent.PAIRED:
            return settings.pairing_seconds
        return {
            ConnectionState.STARTING: settings.start_seconds,
            ConnectionState.AWAITING_SCAN: PAIRING_WINDOW_SECONDS,
            ConnectionState.PAIRING: settings.pairing_seconds,
            ConnectionState.CONNECTING: settings.connect_seconds,
            ConnectionState.SYNCING: settings.sync_seconds,
            ConnectionState.DEGRADED: settings.degraded_seconds,
            ConnectionState.FAILED: settings.refusal_retry_seconds,
        }.get(state)

    def _may_retry(self, trigger: ConnectionTrigger) -> bool:
        """Return whether a failed session tries once more, as it does after its first refusal."""
        refused = trigger.reason_code == "connection_refused"
        first, self._retried = refused and not self._retried, True
        return first

    def _update_other_regions(
        self, trigger: ConnectionTrigger, after: SessionRecord, now: datetime
    ) -> SessionRecord:
        """Return the record with the other regions as an event of the connection changes them."""
        event = trigger.event
        after = replace(after, pairing=self._follow_pairing(event, after.connection))
        if event is ConnectionEvent.BANNED:
            after = replace(after, banned_until=after.due_at)
        if event in {ConnectionEvent.BANNED, ConnectionEvent.BLOCKED_BY_PLATFORM}:
            sending = fire_event(self._machines.sending, SendingEvent.SILENCED)
            after = replace(after, sending=sending, sending_until=None)
        if event in {ConnectionEvent.BLOCKED_BY_PLATFORM, ConnectionEvent.LOGGED_OUT_REMOTELY}:
            after = self.unlink_phone(after)
        confirmed = self.record.connection in MUST_ACKNOWLEDGE_STATES
        if event is ConnectionEvent.ACKNOWLEDGE and confirmed:
            sending = fire_event(self._machines.sending, SendingEvent.REPLIES_ALLOWED)
            # Replies only at first: new chats are what a number was most likely banned for.
            until = now + REPLY_ONLY_AFTER_BAN
            after = replace(after, sending=sending, sending_until=until, banned_until=None)
        return after

    def _follow_pairing(self, event: ConnectionEvent, state: ConnectionState) -> QrState:
        """Return the state of the pairing after an event; a new start resets it to none."""
        before, pairing = self.record.connection, self.record.pairing
        if event.value in _PAIRING_EVENTS:
            return _fire_pairing_event(pairing, QrEvent(event.value))
        if before in _PAIRING_STATES and state in STATES_WITHOUT_CONNECTION:
            return _fire_pairing_event(pairing, QrEvent.CANCELLED)
        if state is ConnectionState.STARTING and before is not ConnectionState.PAIRING:
            return QrState.NONE
        return pairing

    # Phone.

    def link_phone(self, record: SessionRecord, phone: str, now: datetime) -> SessionRecord:
        """Return ``record`` with a phone linked."""
        state = fire_event(self._machines.phone, PhoneEvent.PHONE_SEEN)
        return replace(record, phone=phone, phone_state=state, phone_seen_at=now)

    def unlink_phone(self, record: SessionRecord) -> SessionRecord:
        """Return ``record`` without a linked phone; the number stays known."""
        if self._machines.phone.model.state is PhoneState.UNLINKED:
            return record
        state = fire_event(self._machines.phone, PhoneEvent.PHONE_UNLINKED)
        return replace(record, phone_state=state, phone_seen_at=None)

    def mark_phone_seen(self, at: datetime) -> SessionRecord:
        """Return the record after the phone was online; unchanged where none is linked."""
        record = self.record
        if record.phone_state is PhoneState.UNLINKED:
            return record
        state = fire_event(self._machines.phone, PhoneEvent.PHONE_SEEN)
        reason = "phone_seen" if state is not record.phone_state else record.reason_code
        latest = max(at, record.phone_seen_at or at)
        return replace(record, phone_state=state, phone_seen_at=latest, reason_code=reason)

    def mark_phone_missed(self, days: int) -> SessionRecord:
        """Return the record with a warning that the phone was not online for so many days."""
        state = self.record.phone_state
        if state is PhoneState.SEEN:
            state = fire_event(self._machines.phone, PhoneEvent.PHONE_MISSED)
        return replace(self.record, phone_state=state, reason_code=f"phone_unseen_{days}_days")

    # Sending.

    def restrict_sending(self, reason_code: str, until: datetime | None) -> SessionRecord:
        """Return the record with new chats closed, never for a shorter time than before."""
        record = self.record
        state = fire_event(self._machines.sending, SendingEvent.RESTRICTED)
        if record.sending is SendingState.REPLY_ONLY and record.sending_until and until:
            until = max(until, record.sending_until)
        if state is SendingState.NONE:
            until = record.sending_until
        return replace(record, sending=state, sending_until=until, reason_code=reason_code)

    def limit_after_ban(self, record: SessionRecord, until: datetime) -> SessionRecord:
        """Return ``record`` with new chats closed, because of a ban; never for shorter."""
        state = fire_event(self._machines.sending, SendingEvent.RESTRICTED)
        closed = record.sending is SendingState.REPLY_ONLY
        if state is SendingState.NONE or (closed and record.sending_until is None):
            return replace(record, sending=state)
        until = max(until, record.sending_until or until)
        return replace(record, sending=state, sending_until=until)

    def reopen_sending(self, reason_code: str) -> SessionRecord:
        """Return the record with new chats open again."""
        state = fire_event(self._machines.sending, SendingEvent.RESTRICTION_ENDED)
        return replace(self.record, sending=state, sending_until=None, reason_code=reason_code)


def _is_paired_by_code(record: SessionRecord) -> bool:
    return record.pairing_method is PairingMethod.CODE


def _fire_pairing_event(state: QrState, event: QrEvent) -> QrState:
    """Return the state after an event; a finished attempt changes only by a new QR code."""
    try:
        return fire_event(restore_machine(QrMachine, state), event)
    except IllegalTransition:
        return QrState.ISSUED if event is QrEvent.QR_ISSUED else state
