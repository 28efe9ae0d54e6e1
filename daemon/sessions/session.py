"""One session: its mailbox owns its machines, its line and its deadlines, and nobody else's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from daemon.api.permit import Permit
from daemon.api.signals import (
    KeepAlive,
    Paired,
    PhoneSeen,
    QrIssued,
    SendingReopened,
    SendingRestricted,
    Signal,
)
from daemon.api.transport import (
    NumberAnswer,
    OnWhatsApp,
    OpenContext,
    Outgoing,
    Refused,
    SendResult,
    SessionInfo,
)
from daemon.events import SessionQrShown
from daemon.sessions.alarm import Alarm
from daemon.sessions.delivery import deliver
from daemon.sessions.hearing import Heard, LineNotOpened, LineOpened, heard, outlives_its_line
from daemon.sessions.keeping import Keeper
from daemon.sessions.life import Life
from daemon.sessions.line import NOT_CONNECTED, Line
from daemon.sessions.mailbox import Mailbox
from daemon.sessions.pairing import Pairing
from daemon.sessions.surroundings import Surroundings
from daemon.sessions.watches import Watch, Watches
from statemachines.machine import IllegalMove
from statemachines.session import (
    CAN_SEND,
    NEEDS_PERSON,
    ConnectionEvent,
    ConnectionState,
    PhoneState,
    SendingState,
)
from storage.sessions import SessionRecord

log = structlog.get_logger("sessions")

WITHOUT_LINE = NEEDS_PERSON | {ConnectionState.STOPPED, ConnectionState.BACKOFF}
SEEN_STEP = timedelta(hours=1)
"""A phone that is online all day is not written down more often."""


class Session:
    """A session's actor. Whatever changes it goes through its mailbox, one thing at a time."""

    def __init__(self, record: SessionRecord, around: Surroundings) -> None:
        self.around = around
        self.keeper = Keeper(record, around)
        self.channel = around.channels[record.channel]
        self.line: Line | None = None
        self._name = record.name
        self._life: Life | None = None
        self._pairing = Pairing()
        self._mailbox = Mailbox(record.name, self._settled)
        self._alarm = Alarm(around.clock, partial(self._mailbox.post, self._ring))
        self._watches = Watches()
        self._last_frame = around.clock.now()

    # What anybody may ask, at any time.

    @property
    def record(self) -> SessionRecord:
        """Return the session as it stands; what is not stored yet is stored again and again."""
        return self.keeper.record

    @property
    def failures(self) -> int:
        """Return how many signals and timers ended in an error."""
        return self._mailbox.failures

    @property
    def awake(self) -> bool:
        """Return whether the session's task runs; at rest it is a row."""
        return self._mailbox.awake

    @property
    def linked(self) -> bool:
        """Return whether a phone is linked, as far as we know."""
        return self.record.phone_state is not PhoneState.UNLINKED

    def qr(self) -> SessionQrShown | None:
        """Return the code that can be scanned now, or None."""
        return self._pairing.current(self.around.clock.now())

    def can_send(self, *, new_chat: bool) -> bool:
        """Return whether a message may go to the wire now."""
        record = self.record
        allowed = {SendingState.ALL} if new_chat else {SendingState.ALL, SendingState.REPLY_ONLY}
        return record.connection in CAN_SEND and record.sending in allowed and self.keeper.is_stored

    async def send(self, permit: Permit, outgoing: Outgoing, *, new_chat: bool) -> SendResult:
        """Send through the open line; certainly nothing where the session may not send."""
        if not self.can_send(new_chat=new_chat):
            state, sending = self.record.connection, self.record.sending
            sentence = f"The session is {state} and sends to {sending}; nothing was sent."
            return Refused("session_can_not_send", sentence, retryable=True)
        return await self.line.send(permit, outgoing) if self.line else NOT_CONNECTED

    async def check_numbers(self, phones: Sequence[str]) -> Sequence[NumberAnswer]:
        """Ask the platform about numbers; where nobody can be asked the answer is unknown."""
        if self.line is None or self.record.connection not in CAN_SEND:
            return [NumberAnswer(phone, OnWhatsApp.UNKNOWN) for phone in phones]
        return await self.line.check_numbers(phones)

    # What goes through the mailbox.

    async def ask(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do a person's request in turn; a caller who gives up does not cut it short."""
        await self._mailbox.ask(partial(self._as_a_whole, work))

    async def close(self) -> None:
        """Let go of everything and write nothing: the next start goes on from the row."""
        self._alarm.set(None)
        if self.line is not None:
            await self.line.close(orderly=True)
        await self._mailbox.close()
        self._alarm.set(None)
        await self._hang_up(orderly=False)

    @property
    def life(self) -> Life:
        """Return the machines; they are built when there is something for them to do."""
        if self._life is None:
            self._life = Life(self.record, self.around.rng)
        return self._life

    async def commit(
        self, after: SessionRecord, *, sentence: str = "", who: str = "", action: str = ""
    ) -> None:
        """Make ``after`` the present state, store it, and do what its state asks for."""
        before = self.record
        if (
            before.connection is ConnectionState.READY
            and after.connection is not ConnectionState.READY
        ):
            self._watches.line_lost()
        self.life.accept(after)
        try:
            await self.keeper.keep(after, self.now(), sentence=sentence, who=who, action=action)
        finally:
            if not who or self.keeper.is_stored:
                await self._act(before.connection, after)

    def now(self) -> datetime:
        """Return the moment in whole milliseconds, as it is stored."""
        now = self.around.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def context(self) -> OpenContext:
        """Return what a transport may know of this session."""
        record = self.record
        options = {**self.around.channel_options.get(record.channel, {}), **record.options}
        folder = self.around.folder / record.name
        info = SessionInfo(record.name, self.linked, record.phone, folder, options)
        return OpenContext(info, self.around.clock, self.around.verifier)

    async def _as_a_whole(self, work: Callable[[], Awaitable[None]]) -> None:
        """A request that can't be stored has not happened, and its caller is told."""
        before = self.record
        try:
            await work()
        except Exception:
            if not self.keeper.is_stored:
                self.keeper.take_back(before)
                self.life.accept(before)
            self.life.revert()
            raise

    # The line.

    async def _act(self, before: ConnectionState, after: SessionRecord) -> None:
        state = after.connection
        if state is before:
            return
        if (
            before in {ConnectionState.AWAITING_SCAN, ConnectionState.PAIRING}
            and state in WITHOUT_LINE
        ):
            self._pairing.cancel()
        if state in WITHOUT_LINE:
            await self._hang_up(orderly=state is ConnectionState.STOPPED)
        elif state is ConnectionState.STARTING:
            await self._hang_up(orderly=False)
            await self._dial()
        elif state is ConnectionState.READY:
            self._last_frame = self.around.clock.now()
            self.around.on_ready(self._name)

    async def _dial(self) -> None:
        self._pairing = Pairing()
        if self.channel.open is not None:
            self.line = Line(self.channel.open, self.context(), self._hear)
            return
        for event in (ConnectionEvent.CONNECTED, ConnectionEvent.SYNCED):  # hands need no line
            await self.commit(self.life.hear(Heard(event, "ready"), self.now()))

    async def _hang_up(self, *, orderly: bool) -> None:
        line, self.line = self.line, None
        if line is not None:
            await line.close(orderly=orderly)

    async def _hear(self, line: Line, signal: Signal) -> None:
        """Take one signal from the line, which waits until it is safe with us."""
        if not isinstance(signal, LineNotOpened):
            self._last_frame = self.around.clock.now()
        sink = self.around.sinks.get(type(signal))
        if sink is not None:
            await deliver(partial(sink, self._name, signal), self.around.clock, self._name)
        elif (
            not isinstance(signal, KeepAlive) or self.record.connection is ConnectionState.DEGRADED
        ):
            await self._mailbox.post(partial(self._take, line, signal))

    async def _take(self, line: Line, signal: Signal) -> None:
        """Let one signal of the present line have its effect."""
        if line is not self.line and not outlives_its_line(signal):
            return
        try:
            await self._understand(signal)
        except IllegalMove as refusal:
            self.around.refused[self._name] += 1
            kind = type(signal).__name__
            log.info("signal_refused", session=self._name, state=refusal.state, signal=kind)
        finally:
            self.life.revert()

    async def _understand(self, signal: Signal) -> None:
        now = self.now()
        if isinstance(signal, PhoneSeen):
            await self._phone_seen(signal)
        elif isinstance(signal, SendingRestricted):
            await self.commit(self.life.restricted(signal.reason_code, signal.until))
        elif isinstance(signal, SendingReopened):
            await self.commit(self.life.reopened("sending_reopened"))
        elif isinstance(signal, LineOpened) and not self.linked:
            return  # no login: a code comes next
        elif (meaning := heard(signal, self.record.connection)) is None:
            self.around.refused[self._name] += 1
            log.warning("signal_unknown", session=self._name, signal=type(signal).__name__)
        else:
            await self._move(meaning, signal, now)

    async def _move(self, meaning: Heard, signal: Signal, now: datetime) -> None:
        after = self.life.hear(meaning, now)
        if isinstance(signal, Paired):
            after = self.life.linked(after, signal.phone, now)
        self._pairing.follow(meaning.event)
        sentence = signal.sentence if isinstance(signal, LineNotOpened) else ""
        await self.commit(after, sentence=sentence)
        if isinstance(signal, QrIssued) and after.connection is ConnectionState.AWAITING_SCAN:
            self.around.bus.publish(self._pairing.show(self._name, signal, now))

    async def _phone_seen(self, signal: PhoneSeen) -> None:
        known = self.record.phone_seen_at
        after = self.life.seen(signal.at)
        self._watches.phone_seen()
        news = after.phone_state is not self.record.phone_state
        if news or known is None or signal.at - known >= SEEN_STEP:
            await self.commit(after)

    # Time.

    def _watch(self) -> Watch | None:
        return self._watches.next(
            self.record,
            now=self.around.clock.now(),
            last_frame=self._last_frame if self.line else None,
            store_again_at=self.keeper.store_again_at,
        )

    def _settled(self) -> bool:
        """Set the alarm for what is due next; say whether the session may rest until then."""
        watch = self._watch()
        self._alarm.set(watch.due if watch else None)
        if self.line is not None or watch is not None:
            return False
        self._life = None
        return True

    async def _ring(self) -> None:
        now = self.around.clock.now()
        while (watch := self._watch()) and watch.due <= now:
            await self._due(watch)

    async def _due(self, watch: Watch) -> None:
        after = watch.change(self.life, self.now())
        if after is None:
            await self.keeper.keep(self.record, self.now())
            return
        if after.connection is ConnectionState.QR_EXPIRED:
            self._pairing.follow(ConnectionEvent.QR_EXHAUSTED)
        await self.commit(after)
