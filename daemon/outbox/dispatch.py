"""Sending through one session: claim, pace, ask the gate again, redeem, wire, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from daemon.api.clock import Clock
from daemon.api.permit import Permit, PermitRefused
from daemon.api.transport import Outgoing, Refused, SendResult, Unknown
from daemon.gate import Gate, Phase
from daemon.outbox.answers import settle
from daemon.outbox.desk import Desk
from daemon.outbox.release import Release, Stale
from daemon.outbox.waiting import Bell
from daemon.pacing import Pacing, Slot
from daemon.settings import SendingSettings
from statemachines.message import MessageState
from storage import circumstances, halts, queue
from storage.db import Database
from storage.errors import WriteFailed
from storage.ids import new_id
from storage.messages import MessageRecord, MovedOn
from storage.tx import Reader, Tx

log = structlog.get_logger("outbox")

_IDLE_SECONDS = 300.0
_STALE_SECONDS = 1.0
_WRITE_RETRY_SECONDS = 1.0


class Wire(Protocol):
    """What the outbox needs of sessions: whether one can send, and the sending itself."""

    def can_send(self, name: str, new_chat: bool) -> bool:  # noqa: FBT001 - the only question
        """Tell whether the session could put a message, or one to a new chat, on the wire now."""
        ...

    async def send(self, name: str, permit: Permit, outgoing: Outgoing) -> SendResult:
        """Put a message on the wire of this session; raise ``PermitRefused`` for no permit."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is; where it is nobody's, ``wait`` is the seconds until it may be."""

    message: MessageRecord | None
    wait: float


class Dispatch:
    """One session's sending: one message at a time, for as long as it lives."""

    def __init__(
        self,
        session: str,
        *,
        database: Database,
        gate: Gate,
        desk: Desk,
        pacing: Pacing,
        wire: Wire,
        clock: Clock,
        settings: SendingSettings,
    ) -> None:
        self.session = session
        self.bell = Bell(clock)
        self._database = database
        self._gate = gate
        self._desk = desk
        self._pacing = pacing
        self._wire = wire
        self._clock = clock
        self._settings = settings
        self._stopping = False
        self.on_contact_free: Callable[[str], None] = lambda _session: None

    def stop(self) -> None:
        """Begin no further message; :meth:`run` returns once the one on its way is answered."""
        self._stopping = True
        self.bell.ring()

    async def run(self) -> None:
        """Send what is cleared whenever the session can; never ends by an error of one message."""
        while not self._stopping:
            try:
                wait = await self._send_what_may_go()
            except Exception:
                log.exception("dispatch_failed", session=self.session)
                wait = _WRITE_RETRY_SECONDS
            if not self._stopping:
                await self.bell.wait(wait)

    async def _send_what_may_go(self) -> float:
        """Send until nothing may go now; return how many seconds until something may."""
        stale: set[str] = set()
        while not self._stopping and self._wire.can_send(self.session, new_chat=False):
            turn = await self._turn(tuple(stale))
            if turn.message is None:
                return min(turn.wait, _STALE_SECONDS) if stale else turn.wait
            if not await self._attempt_safely(turn.message):
                stale.add(turn.message.id)
        return _IDLE_SECONDS

    async def _attempt_safely(self, message: MessageRecord) -> bool:
        """Let a message that can't be handled stand in nobody's way; it is tried again."""
        try:
            return await self._attempt(message)
        except Exception:
            log.exception("attempt_failed", message=message.id)
            return False

    async def _turn(self, skip: tuple[str, ...]) -> Turn:
        """Ask pacing first: only what has a slot is worth the gate's second look."""
        now = self._clock.now()
        new_chats = self._wire.can_send(self.session, new_chat=True)

        def query(reader: Reader) -> Turn:
            if halts.current(reader):
                return Turn(None, _IDLE_SECONDS)
            session = circumstances.of_session(reader, self.session, now)
            known, new = (
                self._pacing.slot(reader, session, now, first_contact=first, by_hand=False)
                for first in (False, True)
            )
            if not known.is_open(now):
                return Turn(None, _seconds_to(known, now))
            message = queue.next_cleared(
                reader, self.session, now, new_chats=new_chats and new.is_open(now), skip=skip
            )
            return Turn(message, _seconds_to(new, now))

        return await self._database.read(query)

    async def _attempt(self, message: MessageRecord) -> bool:
        """Take one message as far as it gets; False when its facts changed meanwhile."""
        look = await self._gate.look(message, Phase.RELEASE)
        if not look.allows:
            return await self._desk.write_down(look) is not None
        decision = new_id("dec", look.at)
        valid = timedelta(minutes=self._settings.permit_minutes)
        release = Release(look, decision, self._gate.permit(look, decision, valid))
        try:
            sending = await self._database.write(
                lambda tx: release.commit(
                    tx,
                    self._pacing,
                    MessageState.SENDING,
                    who="outbox",
                    sentence="On its way to the wire.",
                )
            )
        except (Stale, MovedOn) as stale:
            log.info("release_stale", message=message.id, reason=str(stale))
            return False
        await self._to_the_wire(sending, release.permit)
        return True

    async def _to_the_wire(self, message: MessageRecord, permit: Permit) -> None:
        """Hand a committed message to the transport, once, and write its answer down."""
        if await self._database.read(halts.current):
            result: SendResult = Refused("halted", "Sending was halted before it left.", True)
            await self._write_answer(message, result, waits_for="halt")
            return
        await self._write_answer(message, await self._answer(message, permit))

    async def _answer(self, message: MessageRecord, permit: Permit) -> SendResult:
        outgoing = Outgoing(message.id, message.recipient, message.text)
        sending = asyncio.ensure_future(self._wire.send(self.session, permit, outgoing))
        limit = asyncio.ensure_future(self._clock.sleep(self._settings.answer_seconds))
        try:
            await asyncio.wait({sending, limit}, return_when=asyncio.FIRST_COMPLETED)
            if sending.cancelled():
                return Unknown("line_ended", "The line ended before an answer came.")
            if sending.done():
                return sending.result()
            seconds = self._settings.answer_seconds
            return Unknown("no_answer", f"No answer came within {seconds:g} s; it may have left.")
        except PermitRefused as refused:
            return Refused(refused.reason_code, str(refused))
        except Exception as error:
            log.exception("transport_failed", session=self.session, message=message.id)
            return Unknown("transport_failed", f"The transport failed: {type(error).__name__}.")
        finally:
            for task in (sending, limit):
                task.cancel()
            await asyncio.gather(sending, limit, return_exceptions=True)

    async def _write_answer(
        self, message: MessageRecord, result: SendResult, *, waits_for: str | None = None
    ) -> None:
        """Keep trying while the disk refuses: the answer must not be lost while we live."""

        def job(tx: Tx) -> list[str]:
            now = self._clock.now()
            after = settle(tx, message, result, now, self._settings, waits_for=waits_for)
            return queue.sessions_wanting(tx, after.contact)

        while True:
            try:
                wanting = await self._database.write(job, urgent=True)
            except WriteFailed:
                log.error("answer_not_written", message=message.id)
                await self._clock.sleep(_WRITE_RETRY_SECONDS)
            except MovedOn as moved:
                log.warning("answer_too_late", message=message.id, state=moved.state)
                return
            except Exception as error:
                log.exception("answer_unusable", message=message.id)
                if isinstance(result, Unknown):
                    raise
                result = Unknown(
                    "answer_unusable", f"Its answer can't be used: {type(error).__name__}."
                )
            else:
                for session in wanting:
                    self.on_contact_free(session)
                return


def _seconds_to(slot: Slot, now: datetime) -> float:
    """Return how long until a slot opens; where it is open, or no time is known, a while."""
    if slot.at is None or slot.at <= now:
        return _IDLE_SECONDS
    return (slot.at - now).total_seconds()
