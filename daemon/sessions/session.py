"""One session: its record, connection and timers, changed by one job of its mailbox at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from msgspec.structs import replace

from daemon.api.permit import Permit
from daemon.api.signals import (
    KeepAlive,
    Paired,
    PairingCodeIssued,
    PhoneSeen,
    QrIssued,
    SendingReopened,
    SendingRestricted,
    Signal,
)
from daemon.api.transport import (
    KnownContact,
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    SendResult,
    SessionInfo,
)
from daemon.events import SessionPairingCodeShown, SessionQrShown
from daemon.sessions.connection import (
    NOT_CONNECTED,
    SessionConnection,
    SessionUnavailable,
    store_with_retries,
)
from daemon.sessions.dependencies import SessionDependencies
from daemon.sessions.linking import PairingInProgress
from daemon.sessions.mailbox import Mailbox
from daemon.sessions.queue_disposal import QueueDisposal
from daemon.sessions.repository import SessionRepository
from daemon.sessions.signal_check import CheckedSignal, RejectedSignal, SignalChecker
from daemon.sessions.signal_mapping import (
    ConnectionNotOpened,
    ConnectionOpened,
    ConnectionTrigger,
    is_valid_after_close,
    map_signal,
)
from daemon.sessions.timers import ClockTimer, SessionTimer, SessionTimers
from daemon.sessions.transitions import (
    STATES_WITHOUT_CONNECTION,
    SessionTransitions,
)
from daemon.worker_launcher import launch_worker
from statemachines.machine import IllegalTransition
from statemachines.qr import PairingMethod
from statemachines.session import (
    CAN_SEND_STATES,
    ConnectionEvent,
    ConnectionState,
    PhoneState,
    SendingState,
)
from storage.numbers import find_reply_only_end
from storage.sessions import SessionRecord

log = structlog.get_logger("sessions")

MAX_FAULT_CHARACTERS = 500
PHONE_SEEN_INTERVAL = timedelta(hours=1)
"""How often at most a phone that stays online is stored as seen."""


class Session:
    """One session: reads signals, runs timers and commands, and sends."""

    def __init__(self, record: SessionRecord, dependencies: SessionDependencies) -> None:
        self.dependencies = dependencies
        self.repository = SessionRepository(record, dependencies.database)
        self.channel = dependencies.channels[record.channel]
        self.connection: SessionConnection | None = None
        self._name = record.name
        self._transitions: SessionTransitions | None = None
        self.pairing = PairingInProgress()
        self._mailbox = Mailbox(record.name, self._schedule_or_rest)
        self._timer = ClockTimer(
            dependencies.clock, partial(self._mailbox.post, self._run_due_timers)
        )
        self._timers = SessionTimers(dependencies.settings)
        self._last_signal_at = dependencies.clock.now()

    # Reading and sending: allowed at any time, outside the mailbox.

    @property
    def record(self) -> SessionRecord:
        """Return the present record, which may not be stored yet."""
        return self.repository.record

    @property
    def failures(self) -> int:
        """Return how many signals and timers ended in an unexpected error."""
        return self._mailbox.failures

    @property
    def is_running(self) -> bool:
        """Return whether the session's task runs; one at rest is only a row."""
        return self._mailbox.is_running

    @property
    def is_linked(self) -> bool:
        """Return whether a phone is linked, as far as is known."""
        return self.record.phone_state is not PhoneState.UNLINKED

    def qr(self) -> SessionQrShown | None:
        """Return the QR code that can be scanned now, or None."""
        shown = self.pairing.get_current(self.dependencies.clock.now())
        return shown if isinstance(shown, SessionQrShown) else None

    def pairing_code(self) -> SessionPairingCodeShown | None:
        """Return the code that can be typed on the phone now, or None."""
        shown = self.pairing.get_current(self.dependencies.clock.now())
        return shown if isinstance(shown, SessionPairingCodeShown) else None

    def can_send(self, *, new_chat: bool) -> bool:
        """Return whether the session may send a message now."""
        record = self.record
        allowed = {SendingState.ALL} if new_chat else {SendingState.ALL, SendingState.REPLY_ONLY}
        return (
            record.connection in CAN_SEND_STATES
            and record.sending in allowed
            # A record that is not stored may be a ban that the next start would know nothing of.
            and self.repository.is_stored
        )

    async def send(self, permit: Permit, outgoing: Outgoing, *, new_chat: bool) -> SendResult:
        """Send through the open connection; return a refusal where the session may not send."""
        # Asked again, although the gate asked: the state may have changed since it judged.
        if not self.can_send(new_chat=new_chat):
            state, sending = self.record.connection, self.record.sending
            sentence = (
                f"The session is {state} and sends to {sending}; nothing was sent."
                if self.repository.is_stored
                else "The session's state is not stored yet; nothing was sent."
            )
            return SessionUnavailable("session_can_not_send", sentence, retryable=True)
        return await self.connection.send(permit, outgoing) if self.connection else NOT_CONNECTED

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Return whether numbers are on WhatsApp; UNKNOWN where the session can't ask."""
        if self.connection is None or self.record.connection not in CAN_SEND_STATES:
            return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]
        return await self.connection.check_numbers(phones)

    async def list_contacts(self) -> Sequence[KnownContact]:
        """Return the account's contacts; an empty list where the session is not connected."""
        if self.connection is None or self.record.connection not in CAN_SEND_STATES:
            return []
        return await self.connection.list_contacts()

    # Commands and the end: in turn, through the mailbox.

    async def ask(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a person's command in turn; a cancelled caller does not stop it."""
        await self._mailbox.ask(partial(self._run_atomically, work))

    async def close(self) -> None:
        """Close connection, timer and mailbox; store nothing, so that the next start goes on."""
        self._timer.schedule(None)
        if self.connection is not None:
            await self.connection.close(orderly=True)
        await self._mailbox.close()
        self._timer.schedule(None)  # again: the mailbox's last job may have set it
        await self._disconnect(orderly=False)

    @property
    def transitions(self) -> SessionTransitions:
        """Return the state machines, built at the first use: a session at rest needs none."""
        if self._transitions is None:
            self._transitions = SessionTransitions(
                self.record, self.dependencies.rng, self.dependencies.settings
            )
        return self._transitions

    async def commit(
        self,
        after: SessionRecord,
        *,
        who: str = "",
        action: str = "",
        deletion: QueueDisposal | None = None,
        restriction: str = "",
    ) -> None:
        """Make ``after`` the present record, store it, and connect or disconnect as it says.

        For ``deletion`` and ``restriction`` see :meth:`SessionRepository.save`.
        """
        before = self.record
        if (
            before.connection is ConnectionState.READY
            and after.connection is not ConnectionState.READY
        ):
            self._timers.on_connection_lost()
        self.transitions.accept(after)
        try:
            await self.repository.save(
                after,
                self.now(),
                who=who,
                action=action,
                deletion=deletion,
                restriction=restriction,
            )
        finally:
            # Also where storing failed: the platform's change is a fact. A command that was not
            # stored did not happen, and is rolled back by its caller.
            if not who or self.repository.is_stored:
                await self._act_on_state(before.connection, after)

    def now(self) -> datetime:
        """Return the present moment in whole milliseconds, the precision of the database."""
        now = self.dependencies.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def limit_after_ban(self, record: SessionRecord) -> SessionRecord:
        """Return ``record``, with replies only for as long as a ban asks for."""
        if record.phone is None or record.phone_state is PhoneState.UNLINKED:
            return record
        phone, now = record.phone, self.now()
        until = await self.dependencies.database.read(
            lambda reader: find_reply_only_end(reader, phone, self._name, now)
        )
        return record if until is None else self.transitions.limit_after_ban(record, until)

    async def reopen_sending(self, reason_code: str) -> SessionRecord:
        """Return the record with new chats open again, unless the number may only reply still."""
        return await self._keep_limit_after_ban(self.transitions.reopen_sending(reason_code))

    async def _keep_limit_after_ban(self, after: SessionRecord) -> SessionRecord:
        limited = await self.limit_after_ban(after)
        if limited.sending is after.sending:
            return after
        return replace(limited, reason_code="reply_only_after_ban")

    def context(self) -> OpenContext:
        """Return what a transport is opened with."""
        record = self.record
        settings = self.dependencies.channel_options.get(record.channel, {})
        options = self.channel.merge_options(settings, record.options)
        folder = self.dependencies.folder / record.name
        info = SessionInfo(
            record.name, self.is_linked, record.phone, folder, options, self.pairing.phone
        )
        dependencies = self.dependencies
        return OpenContext(info, dependencies.clock, dependencies.verifier, launch_worker)

    async def _run_atomically(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a command; where it can't be stored, undo it and raise."""
        before = self.record
        try:
            await work()
        except Exception:
            if not self.repository.is_stored:
                self.repository.roll_back(before)
                self.transitions.accept(before)
            self.transitions.revert()
            raise

    # The connection.

    async def _act_on_state(self, before: ConnectionState, after: SessionRecord) -> None:
        state = after.connection
        if state is before:
            return
        if state is not ConnectionState.AWAITING_SCAN:
            self.pairing.hide()
        if state in STATES_WITHOUT_CONNECTION:
            if state is not ConnectionState.BACKOFF:
                self.pairing.phone = None
            # Only a stop by a person is orderly: in the other states the platform has ended the
            # login.
            await self._disconnect(orderly=state is ConnectionState.STOPPED)
        elif state is ConnectionState.STARTING:
            await self._disconnect(orderly=False)
            await self._connect()
        elif state is ConnectionState.READY:
            self._last_signal_at = self.dependencies.clock.now()

    async def _connect(self) -> None:
        if self.channel.open is not None:
            self.connection = SessionConnection(
                self.channel, self.context(), on_signal=self._on_signal, on_fault=self._on_fault
            )
            return
        # A manual channel has no transport: the session is ready at once.
        for event in (ConnectionEvent.CONNECTED, ConnectionEvent.SYNCED):
            await self.commit(
                self.transitions.apply_trigger(ConnectionTrigger(event, "ready"), self.now())
            )

    async def reconnect(self) -> None:
        """Replace the connection of a session that is starting, to link its phone another way."""
        await self._disconnect(orderly=False)
        await self._connect()

    async def _disconnect(self, *, orderly: bool) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close(orderly=orderly)

    async def _on_signal(self, connection: SessionConnection, signal: Signal) -> None:
        """Store one signal, or queue it; the connection reads the next one only after that."""
        # Any signal shows that the connection lives, for the timer that watches for silence.
        if not isinstance(signal, ConnectionNotOpened):
            self._last_signal_at = self.dependencies.clock.now()
        if isinstance(signal, Paired) and self.pairing.is_other_number(signal.phone):
            # At once, and not when the signal's turn comes: messages follow, and are a stranger's.
            connection.mute()
        if type(signal) in self.dependencies.sinks:
            await self._store_signal(signal)
        elif (
            not isinstance(signal, KeepAlive) or self.record.connection is ConnectionState.DEGRADED
        ):
            await self._mailbox.post(partial(self._process_signal, connection, signal))

    async def store_received(self, checked: CheckedSignal) -> None:
        """Store what people wrote, of a connection that is not the session's own."""
        if checked.rejected or checked.nobody:
            await self._on_fault(checked)
        if checked.signal is not None and type(checked.signal) in self.dependencies.sinks:
            await self._store_signal(checked.signal)

    async def _store_signal(self, signal: Signal) -> None:
        """Store a signal that must not be lost; quarantine it where that fails.

        Raises where the quarantine fails too: then the fault is the disk's and not the signal's,
        and a session that can't store an opt-out must not send.
        """
        clock, sink = self.dependencies.clock, self.dependencies.sinks[type(signal)]
        try:
            await store_with_retries(partial(sink, self._name, signal), clock, self._name)
        except Exception:  # noqa: BLE001 - whether disk or signal is at fault, the quarantine shows
            checker = SignalChecker(self._name, self.channel)
            await self._quarantine(checker.reject_unstored(signal))

    async def _on_fault(self, checked: CheckedSignal) -> None:
        """Count and log what was refused of a signal; quarantine what can't be stored."""
        faults = len(checked.nobody) + (checked.rejected is not None)
        self.dependencies.refused_signals[self._name] += faults
        for reason_code in checked.nobody:
            log.info("name_refused", session=self._name, reason=reason_code)
        if checked.rejected is not None:
            await self._quarantine(checked.rejected)

    async def _quarantine(self, rejected: RejectedSignal) -> None:
        """Store a rejected signal with what could be kept; where that fails, without its fields."""
        log.error("signal_rejected", session=self._name, reason=rejected.reason_code)
        clock, sink = self.dependencies.clock, self.dependencies.on_rejected
        try:
            await store_with_retries(partial(sink, self._name, rejected), clock, self._name)
        except Exception as error:  # noqa: BLE001 - one of the kept fields may be at fault
            log.error("quarantine_failed", session=self._name, error=type(error).__name__)
            await sink(self._name, replace(rejected, kept={}))

    async def _process_signal(self, connection: SessionConnection, signal: Signal) -> None:
        """Apply one signal; ignore it where its connection was replaced meanwhile."""
        if connection is not self.connection and not is_valid_after_close(signal):
            return
        try:
            await self._apply_signal(signal)
        except IllegalTransition as refusal:
            self.dependencies.refused_signals[self._name] += 1
            kind = type(signal).__name__
            log.info("signal_refused", session=self._name, state=refusal.state, signal=kind)
        finally:
            self.transitions.revert()

    async def _apply_signal(self, signal: Signal) -> None:
        now = self.now()
        if isinstance(signal, PhoneSeen):
            await self._apply_phone_seen(signal)
        elif isinstance(signal, SendingRestricted):
            after = self.transitions.restrict_sending(signal.reason_code, signal.until)
            await self.commit(after, restriction=signal.reason_code)
        elif isinstance(signal, SendingReopened):
            await self.commit(await self.reopen_sending("sending_reopened"))
        elif isinstance(signal, ConnectionOpened) and not self.is_linked:
            return  # no login is stored: a QR code comes next
        elif (trigger := map_signal(signal, self.record.connection)) is None:
            self.dependencies.refused_signals[self._name] += 1
            log.warning("signal_unknown", session=self._name, signal=type(signal).__name__)
        else:
            await self._apply_trigger(trigger, signal, now)

    async def _apply_trigger(
        self, trigger: ConnectionTrigger, signal: Signal, now: datetime
    ) -> None:
        if isinstance(signal, Paired) and self.pairing.is_other_number(signal.phone):
            await self._refuse_other_number(now)
            return
        after = self.transitions.apply_trigger(trigger, now)
        if isinstance(signal, Paired):
            after = self.transitions.link_phone(after, signal.phone, now)
            after = await self.limit_after_ban(after)
            self.pairing.phone = None
        if isinstance(signal, QrIssued | PairingCodeIssued):
            by_code = isinstance(signal, PairingCodeIssued)
            method = PairingMethod.CODE if by_code else PairingMethod.QR
            after = replace(after, pairing_method=method)
        if isinstance(signal, ConnectionNotOpened):
            after = replace(after, fault=signal.sentence[:MAX_FAULT_CHARACTERS])
        await self.commit(after)
        shows_code = after.connection is ConnectionState.AWAITING_SCAN
        if isinstance(signal, QrIssued | PairingCodeIssued) and shows_code:
            self.dependencies.bus.publish(self.pairing.show(self._name, signal, now))

    async def _refuse_other_number(self, now: datetime) -> None:
        """Unlink a phone whose number is not the one that was given, and say so."""
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.logout()
            await connection.close()
        self.pairing.phone = None
        trigger = ConnectionTrigger(ConnectionEvent.PAIRING_FAILED, "paired_other_number")
        await self.commit(self.transitions.apply_trigger(trigger, now))

    async def _apply_phone_seen(self, signal: PhoneSeen) -> None:
        known = self.record.phone_seen_at
        after = self.transitions.mark_phone_seen(signal.at)
        self._timers.on_phone_seen()
        news = after.phone_state is not self.record.phone_state
        if news or known is None or signal.at - known >= PHONE_SEEN_INTERVAL:
            await self.commit(after)

    # Time.

    async def follow_clock(self, by: timedelta, seen: datetime) -> None:
        """Adjust timers and deadlines to a step of the wall clock, back by ``by``; zero is forward.

        ``seen`` is the last comparison of the clocks, in the present reading of the wall clock.
        """
        await self._mailbox.post(partial(self._follow_clock, by, seen))

    async def _follow_clock(self, by: timedelta, seen: datetime) -> None:
        self._timer.look_again()
        if not by:
            return
        now = self.now()
        if self._last_signal_at > now:
            self._last_signal_at -= by
        self.pairing.move_back(by, now)
        self._timers.move_back(self.record, by, now)
        self.repository.move_back(now)
        after = self.transitions.move_back(by, now=now, seen=seen)
        if after is not None:
            await self.commit(after)

    def _find_next_timer(self) -> SessionTimer | None:
        return self._timers.find_next(
            self.record,
            now=self.dependencies.clock.now(),
            last_signal_at=self._last_signal_at if self.connection else None,
            retry_at=self.repository.retry_at,
        )

    def _schedule_or_rest(self) -> bool:
        """Schedule the next timer; return whether the session's task may end."""
        timer = self._find_next_timer()
        self._timer.schedule(timer.due if timer else None)
        if self.connection is not None or timer is not None:
            return False
        # The three machines take about 100 KiB, which a session at rest does not need.
        self._transitions = None
        return True

    async def _run_due_timers(self) -> None:
        now = self.dependencies.clock.now()
        while (timer := self._find_next_timer()) and timer.due <= now:
            await self._run_timer(timer)

    async def _run_timer(self, timer: SessionTimer) -> None:
        after = timer.action(self.transitions, self.now())
        if after is None:
            await self.repository.save(self.record, self.now())
            return
        if after.sending is SendingState.ALL and self.record.sending is SendingState.REPLY_ONLY:
            after = await self._keep_limit_after_ban(after)
        await self.commit(after)
