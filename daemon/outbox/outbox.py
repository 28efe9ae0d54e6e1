"""The outbox service: owns the tasks that evaluate, send and expire messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.background import get_seconds_to_tick
from daemon.clock_event import ClockEvent
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.errors import BadRequest, Conflict, LeadMasterError, NotFound, require_reason
from daemon.outbox.check_waits import announce_expiries, requeue_outdated_check_waits
from daemon.outbox.enqueue import MessageEnqueuer, SendRequest
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.sender import SessionSender
from daemon.sessions.status import describe_block
from daemon.settings import SendingSettings
from statemachines.message import SETTLEMENT_STATES, MessageState
from storage import audit, messages, queue, receipts, sessions
from storage.db import Database
from storage.errors import StorageError
from storage.messages import MessageRecord, MessageStateConflict
from storage.session_queue import refresh_blocked_messages
from storage.tx import Reader, Tx

log = structlog.get_logger("outbox")

# The timer runs at least this often, and `last_active` shows health checks that it does.
_LONGEST_WAIT_SECONDS = 5.0
# A message with a stale evaluation is evaluated again after this time, not at once: its facts may
# change many times in a row, as during an import.
_STALE_SECONDS = 1.0


class _FoundDue(Struct, frozen=True):
    """The sessions that may send a message from now on, and when the next message is due."""

    sessions: list[str]
    next_due: datetime | None


class Outbox:
    """Runs the evaluation, the timer and a sender for each session; cancels, settles messages."""

    def __init__(
        self,
        database: Database,
        evaluator: MessageEvaluator,
        enqueuer: MessageEnqueuer,
        checks: NumberCheckPolicy,
        clock: Clock,
        make_sender: Callable[[str], SessionSender],
        settings: SendingSettings,
    ) -> None:
        self._database = database
        self._evaluator = evaluator
        self._enqueuer = enqueuer
        self._checks = checks
        self._clock = clock
        self._own_message_time = timedelta(seconds=settings.own_message_seconds)
        self._evaluation_wakeup = ClockEvent(clock)
        self._timer_wakeup = ClockEvent(clock)
        self._make_sender = make_sender
        self._senders: dict[str, SessionSender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sessions_changed = False
        self._running = False
        self._last_active = time.monotonic()

    async def start(self) -> None:
        """Mark what a crash left in ``sending`` as in doubt, and start evaluation and timer."""
        self._running = True
        at = self._clock.now()
        # Before anything of this run is sent: what is in `sending` now is from the last run.
        doubtful = await self._database.write(lambda tx: queue.mark_sending_in_doubt(tx, at))
        if doubtful:
            log.warning("in_doubt_after_restart", messages=doubtful)
        self._tasks["evaluation"] = asyncio.create_task(
            self._run_evaluation(), name="outbox-evaluation"
        )
        self._tasks["timer"] = asyncio.create_task(self._run_timer(), name="outbox-timer")
        self._evaluation_wakeup.trigger()

    def serve_session(self, session: str) -> None:
        """Start a sender for this session unless it has one, or the outbox is stopped."""
        # A session may become ready while the daemon stops: no new sender may start then.
        if self._running and session not in self._senders:
            sender = self._senders[session] = self._make_sender(session)
            self._tasks[f"session {session}"] = asyncio.create_task(
                sender.run(), name=f"outbox-{session}"
            )

    @property
    def last_active(self) -> float:
        """When (`time.monotonic()`) both the timer and the evaluation were last active."""
        return min(self._last_active, self._evaluator.busy_since or self._last_active)

    async def stop(self, seconds: float) -> None:
        """Stop: begin no further message, await those on the wire for ``seconds``, then cancel."""
        self._running = False
        for sender in self._senders.values():
            sender.stop()
        for name in ("evaluation", "timer"):
            if task := self._tasks.pop(name, None):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        self._senders.clear()

    async def enqueue(
        self, request: SendRequest, who: str, *, first: Callable[[Tx], None] | None = None
    ) -> MessageRecord:
        """Store a message as ``queued``; see :meth:`MessageEnqueuer.enqueue`."""
        return await self._enqueuer.enqueue(request, who, first=first)

    async def draft(self, request: SendRequest) -> MessageRecord:
        """Return a message and store nothing; see :meth:`MessageEnqueuer.draft`."""
        return await self._enqueuer.draft(request)

    async def draft_all(
        self, requests: Sequence[SendRequest]
    ) -> list[MessageRecord | LeadMasterError]:
        """Return many messages and store nothing; see :meth:`MessageEnqueuer.draft_all`."""
        return await self._enqueuer.draft_all(requests)

    # `wakeups` calls the following when a committed event means that there is something to do.

    async def wake(self) -> None:
        """Check everything: each session, each queue, and all messages that wait."""
        for session in await self._database.read(sessions.list_sessions):
            self.serve_session(session.name)
            self.wake_session(session.name)
        self.wake_evaluation()
        self.requeue_for_sessions()

    def wake_evaluation(self) -> None:
        """Wake the evaluation of queued messages."""
        self._evaluation_wakeup.trigger()

    def wake_session(self, session: str) -> None:
        """Wake the sender of this session, if it has one."""
        if sender := self._senders.get(session):
            sender.wakeup.trigger()

    async def wake_contact(self, contact: str) -> None:
        """Wake the senders that have a cleared message to this contact, who is free now."""
        for session in await self._database.read(
            lambda reader: queue.list_sessions_with_cleared(reader, contact)
        ):
            self.wake_session(session)

    def requeue_for_sessions(self) -> None:
        """Have the timer queue the messages whose session can send by now."""
        self._sessions_changed = True
        self._timer_wakeup.trigger()

    async def cancel(self, message: str, who: str, reason: str) -> MessageRecord:
        """Cancel a message that has not left. Raises :class:`Conflict` for one that may have."""
        return await self._move_by_person(message, MessageState.CANCELLED, who, reason, "cancelled")

    async def settle(
        self, message: str, state: MessageState, who: str, reason: str
    ) -> MessageRecord:
        """Set the outcome of a message in doubt, by a person and with a reason; it is audited.

        Raises :class:`BadRequest` for another state, :class:`Conflict` for another message.
        """
        if state not in SETTLEMENT_STATES:
            words = ", ".join(sorted(SETTLEMENT_STATES))
            raise BadRequest(
                f"An unconfirmed message can be settled as one of: {words}.",
                hint="sent needs the id that WhatsApp acknowledged; only a receipt brings it.",
            )
        return await self._move_by_person(
            message, state, who, reason, "settled_by_hand", doubtful=True
        )

    async def _move_by_person(
        self,
        message: str,
        state: MessageState,
        who: str,
        reason: str,
        code: str,
        *,
        doubtful: bool = False,
    ) -> MessageRecord:
        at, stated_reason = self._clock.now(), require_reason(reason)

        def job(tx: Tx) -> MessageRecord:
            found = messages.get_message(tx, message)
            if found is None:
                raise NotFound(f"There is no message {message}.")
            if doubtful != (found.state is MessageState.IN_DOUBT):
                raise Conflict(f"The message {message} is {found.state}.")
            after = messages.transition_message(
                tx, message, state, at=at, reason_code=code, sentence=stated_reason, who=who
            )
            audit.insert_audit_entry(
                tx, at=at, who=who, action=code, subject=message, reason=stated_reason
            )
            return after

        try:
            return await self._database.write(job)
        except MessageStateConflict as moved:
            raise Conflict(str(moved)) from moved

    async def _run_evaluation(self) -> None:
        while True:
            try:
                while (batch := await self._evaluator.evaluate_queued()).stored:
                    self._last_active = time.monotonic()
            except Exception:
                log.exception("evaluation_failed")
                await self._evaluation_wakeup.wait(_LONGEST_WAIT_SECONDS)
            else:
                await self._evaluation_wakeup.wait(_STALE_SECONDS if batch.stale else None)

    async def _run_timer(self) -> None:
        """Move messages by the clock: due, expired, leases ended, doubts that a receipt settles."""
        since = self._clock.now()
        while True:
            self._last_active = time.monotonic()
            wait = get_seconds_to_tick(_LONGEST_WAIT_SECONDS, self._clock.monotonic())
            try:
                at = self._clock.now()
                found = await self._process_due(since, at)
                since = at  # after it succeeded, so that no `not_before` is skipped by an error
                for session in found.sessions:
                    self.wake_session(session)
                if found.next_due is not None:
                    wait = min(wait, max(0.0, (found.next_due - self._clock.now()).total_seconds()))
            except Exception:
                log.exception("timer_failed")
            await self._timer_wakeup.wait(wait)

    def _list_due_steps(
        self, at: datetime, *, sessions_changed: bool
    ) -> list[Callable[[Tx], object]]:
        """Return what the clock does with messages, in its order."""
        return [
            *([partial(queue.requeue_sendable_messages, at=at)] if sessions_changed else []),
            # Expired before due: past its window a message must not be evaluated once more.
            partial(queue.expire_messages, at=at),
            partial(queue.end_expired_leases, at=at),
            partial(queue.requeue_due_messages, at=at),
            partial(queue.requeue_unreadable_messages, at=at),
            partial(receipts.settle_doubts, at=at, received_before=at - self._own_message_time),
            partial(refresh_blocked_messages, at=at, describe=describe_block),
            lambda tx: requeue_outdated_check_waits(tx, self._checks.find_obstacle(tx, at), at),
            partial(announce_expiries, at=at),
        ]

    async def _run_apart(self, steps: Sequence[Callable[[Tx], object]]) -> None:
        """Run each step in its own transaction: one that fails keeps no other from being done."""
        for step in steps:
            try:
                await self._database.write(step)
            except StorageError:
                raise
            except Exception:
                log.exception("timer_step_failed")

    async def _process_due(self, since: datetime, at: datetime) -> _FoundDue:
        # Cleared before the job: a change that comes meanwhile must not be lost.
        sessions_changed, self._sessions_changed = self._sessions_changed, False

        steps = self._list_due_steps(at, sessions_changed=sessions_changed)

        def job(tx: Tx) -> None:
            for step in steps:
                step(tx)

        try:
            await self._database.write(job)
        except BaseException as error:
            self._sessions_changed |= sessions_changed
            # Of the storage: it would fail for each of them, and tells by itself why.
            if isinstance(error, StorageError) or not isinstance(error, Exception):
                raise
            await self._run_apart(steps)
        return await self._database.read(lambda reader: _find_due(reader, since, at))


def _find_due(reader: Reader, since: datetime, at: datetime) -> _FoundDue:
    # Not in the writer's transaction: with thousands that wait it takes milliseconds.
    return _FoundDue(
        queue.list_sessions_with_newly_due(reader, since, at), queue.get_next_due_time(reader)
    )
