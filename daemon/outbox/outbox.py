"""The outbox: owns the tasks that judge, send and keep time, and answers for messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from daemon.api.clock import Clock
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.outbox.desk import Desk
from daemon.outbox.dispatch import Dispatch
from daemon.outbox.requests import Intake, SendRequest
from daemon.outbox.waiting import Bell
from statemachines.message import MessageState
from storage import audit, messages, queue
from storage.db import Database
from storage.messages import MessageRecord, MovedOn
from storage.tx import Tx

log = structlog.get_logger("outbox")

SETTLEMENTS = frozenset(
    {
        MessageState.FAILED,
        MessageState.CANCELLED,
        MessageState.CONFIRMED_BY_HAND,
    }
)
"""What a person may say became of a message in doubt."""

_LONGEST_WAIT_SECONDS = 5.0
"""The clockwork looks at least this often, so that its beat shows that it lives."""


class Outbox:
    """Everything that happens to a message between "accepted" and "answered"."""

    def __init__(self, database: Database, desk: Desk, intake: Intake, clock: Clock) -> None:
        self._database = database
        self._desk = desk
        self._intake = intake
        self._clock = clock
        self._judging = Bell(clock)
        self._timing = Bell(clock)
        self._make: Callable[[str], Dispatch] | None = None
        self._dispatches: dict[str, Dispatch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._came_back: set[str] = set()
        self._beat = time.monotonic()
        desk.on_cleared = self.wake

    def connect(self, make: Callable[[str], Dispatch]) -> None:
        """Learn how to send through a session: the sessions are built after the outbox."""
        self._make = make

    async def start(self) -> None:
        """Recover from a crash first: whatever was on its way is in doubt. Then begin."""
        at = self._clock.now()
        doubtful = await self._database.write(lambda tx: queue.doubt_all_sending(tx, at))
        if doubtful:
            log.warning("in_doubt_after_restart", messages=doubtful)
        self._tasks["judge"] = asyncio.create_task(self._judge(), name="outbox-judge")
        self._tasks["clockwork"] = asyncio.create_task(self._keep_time(), name="outbox-clockwork")
        self._judging.ring()

    def serve(self, session: str) -> None:
        """Send through this session from now on. Idempotent."""
        if session not in self._dispatches and self._make is not None:
            dispatch = self._dispatches[session] = self._make(session)
            dispatch.on_contact_free = self._ring
            self._tasks[f"session {session}"] = asyncio.create_task(
                dispatch.run(), name=f"outbox-{session}"
            )

    @property
    def beat(self) -> float:
        """Return when (`time.monotonic()`) both the clockwork and the judging were last alive."""
        return min(self._beat, self._desk.busy_since or self._beat)

    async def stop(self, seconds: float) -> None:
        """Begin nothing new, await what is on the wire for ``seconds``, then cut."""
        for dispatch in self._dispatches.values():
            dispatch.stop()
        for name in ("judge", "clockwork"):
            if task := self._tasks.pop(name, None):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._dispatches.clear()

    async def enqueue(self, request: SendRequest, who: str) -> MessageRecord:
        """Accept a message; see :meth:`Intake.enqueue`."""
        message = await self._intake.enqueue(request, who)
        self._judging.ring()
        return message

    def wake(self, session: str | None = None) -> None:
        """Look again at what may go through one session, or through all; and what is to judge."""
        self._judging.ring()
        self._timing.ring()
        for name in self._dispatches if session is None else (session,):
            self._ring(name)

    def _ring(self, session: str) -> None:
        if dispatch := self._dispatches.get(session):
            dispatch.bell.ring()

    def session_ready(self, session: str) -> None:
        """Hear that a session can send again: send, and judge again what waited for it."""
        self._came_back.add(session)
        self.serve(session)
        self.wake(session)

    async def contact_checked(self, contact: str) -> None:
        """Judge again what waited for this contact's number check."""
        at = self._clock.now()
        await self._database.write(
            lambda tx: queue.requeue_waiting(tx, at, "checked", contact=contact)
        )
        self.wake()

    async def rules_changed(self) -> None:
        """Judge anew what was deferred or cleared by rules that are not live any more."""
        at = self._clock.now()
        await self._database.write(lambda tx: queue.requeue_all(tx, at))
        self.wake()

    async def cancel(self, message: str, who: str, reason: str) -> MessageRecord:
        """Cancel a message that has not left; raise :class:`Conflict` for one that may have."""
        return await self._decide(message, MessageState.CANCELLED, who, reason, "cancelled")

    async def settle(
        self, message: str, state: MessageState, who: str, reason: str
    ) -> MessageRecord:
        """Say what became of a message in doubt, with a reason; it is audited."""
        if state not in SETTLEMENTS:
            words = ", ".join(sorted(SETTLEMENTS))
            raise BadRequest(
                f"A person settles a message in doubt as one of: {words}.",
                hint="sent needs the id that WhatsApp acknowledged; only a receipt brings it.",
            )
        return await self._decide(message, state, who, reason, "settled_by_hand", doubtful=True)

    async def _decide(
        self,
        message: str,
        state: MessageState,
        who: str,
        reason: str,
        code: str,
        *,
        doubtful: bool = False,
    ) -> MessageRecord:
        if not reason.strip():
            raise BadRequest("A reason is missing.", hint="Say why; it is kept in the audit.")
        at = self._clock.now()

        def job(tx: Tx) -> MessageRecord:
            found = messages.get(tx, message)
            if found is None:
                raise NotFound(f"There is no message {message}.")
            if doubtful != (found.state is MessageState.IN_DOUBT):
                raise Conflict(f"The message {message} is {found.state}.")
            after = messages.move(
                tx, message, state, at=at, reason_code=code, sentence=reason, who=who
            )
            audit.add(tx, at=at, who=who, action=code, subject=message, reason=reason)
            return after

        try:
            after = await self._database.write(job)
        except MovedOn as moved:
            raise Conflict(str(moved)) from moved
        self.wake()
        return after

    async def _judge(self) -> None:
        while True:
            try:
                while await self._desk.judge_waiting():
                    self._beat = time.monotonic()
            except Exception:
                log.exception("judging_failed")
                await self._judging.wait(_LONGEST_WAIT_SECONDS)
            else:
                await self._judging.wait(None)

    async def _keep_time(self) -> None:
        """Move what the clock alone moves: due, expired, begun, leases over."""
        since = self._clock.now()
        while True:
            self._beat = time.monotonic()
            wait = _LONGEST_WAIT_SECONDS
            try:
                at = self._clock.now()
                await self._move_on(since, at)
                since = at
                due = await self._database.read(queue.next_due)
                if due is not None:
                    wait = min(wait, max(0.0, (due - self._clock.now()).total_seconds()))
            except Exception:
                log.exception("clockwork_failed")
            await self._timing.wait(wait)

    async def _move_on(self, since: datetime, at: datetime) -> None:
        came_back, self._came_back = self._came_back, set()

        def job(tx: Tx) -> int:
            waited = sum(
                queue.requeue_waiting(tx, at, "session", session=session) for session in came_back
            )
            over = queue.expire(tx, at) + queue.end_leases(tx, at)
            return waited + over + queue.requeue_due(tx, at)

        try:
            moved = await self._database.write(job)
        except BaseException:
            self._came_back |= came_back
            raise
        if moved:
            self._judging.ring()
        for session in await self._database.read(
            lambda reader: queue.began_between(reader, since, at)
        ):
            self._ring(session)
