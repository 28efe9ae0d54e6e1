"""Sends through one session: pacing, second evaluation, release, sending, storing the result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import assert_never

import structlog
from msgspec import Struct

from daemon.api.clock import Clock
from daemon.api.identity import parse_phone_identity
from daemon.api.permit import Permit
from daemon.api.transport import Acknowledged, Outgoing, Refused, SendResult, Text, Unknown
from daemon.clock_event import ClockEvent
from daemon.gate.gate import EvaluationPhase, Gate
from daemon.numbers.breaker import Breaker
from daemon.outbox.evaluator import MessageEvaluator
from daemon.outbox.pacing import Pacing, PacingSlot
from daemon.outbox.release import BREAKER_OBSTACLE, Release
from daemon.outbox.staleness import EvaluationStale
from daemon.sessions import Sessions, SessionUnavailable
from daemon.settings import SendingSettings
from statemachines.message import MessageState
from statemachines.vocabulary import WaitsFor
from storage import evaluation_context, halts, messages, queue, receipts
from storage.db import Database
from storage.errors import WriteFailed
from storage.ids import new_id
from storage.messages import MessageRecord, MessageStateConflict
from storage.tx import Reader, Tx

TRANSPORT_ACTOR = "transport"
_FIRST_RETRY_SECONDS = 30.0
_LONGEST_RETRY_SECONDS = 3600.0


def apply_send_result(
    tx: Tx,
    message: MessageRecord,
    result: SendResult,
    at: datetime,
    settings: SendingSettings,
    *,
    waits_for: WaitsFor | None = None,
) -> MessageRecord:
    """Move a ``sending`` message to the state that follows from the result; return it.

    Only an acknowledgement makes it ``sent``. A certain refusal refunds its budget. ``waits_for``
    is the event to wait for before a retry (a halt is lifted, the session can send), in place of a
    time; such an attempt is not counted.
    """
    match result:
        case Acknowledged(wire_id, acknowledged_at):
            return _mark_sent(tx, message, wire_id, acknowledged_at, at)
        case Unknown(reason_code, sentence):
            return _move_message(tx, message, MessageState.IN_DOUBT, at, reason_code, sentence)
        case Refused():
            if waits_for:
                return _defer_message(tx, message, result, at, waits_for=waits_for)
            return _apply_refusal(tx, message, result, at, settings)
    assert_never(result)  # raises for what a careless transport may answer


def _apply_refusal(
    tx: Tx, message: MessageRecord, result: Refused, at: datetime, settings: SendingSettings
) -> MessageRecord:
    """Defer a refused message for a retry, or fail it after too many attempts."""
    attempts = message.attempts + 1
    if result.retryable and attempts <= settings.retries:
        due = _compute_retry_time(message, attempts, result.retry_after, at, settings)
        return _defer_message(tx, message, result, at, attempts=attempts, due_at=due)
    target, code, sentence = MessageState.FAILED, result.reason_code, describe_refusal(result)
    return _move_message(tx, message, target, at, code, sentence, attempts=attempts)


def describe_refusal(result: Refused) -> str:
    """Return the refusal's sentence, followed by the platform's own code and text, if any."""
    code = "" if result.code is None else str(result.code)
    words = ", ".join(filter(None, (code, result.detail)))
    return f"{result.sentence} The platform's own words: {words}" if words else result.sentence


def _compute_retry_time(
    message: MessageRecord,
    attempts: int,
    retry_after: timedelta | None,
    at: datetime,
    settings: SendingSettings,
) -> datetime:
    """Return when to try again: at the platform's time if it names one, else after our own wait."""
    if retry_after is None:
        return at + compute_retry_wait(message.id, attempts)
    # Bounded: a mistaken time of the platform must not keep a message for weeks.
    longest = timedelta(hours=settings.longest_retry_hours)
    return min(at + min(retry_after, longest), message.not_after)


def _defer_message(
    tx: Tx, message: MessageRecord, result: Refused, at: datetime, **columns: object
) -> MessageRecord:
    target, code, sentence = MessageState.DEFERRED, result.reason_code, describe_refusal(result)
    return _move_message(tx, message, target, at, code, sentence, **columns)


def compute_retry_wait(message: str, attempts: int) -> timedelta:
    """Return how long to wait before attempt ``attempts + 1``: doubling, up to an hour."""
    base = min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** (attempts - 1))
    # Jitter spreads messages that failed together. Seeded, so that it is the same at each call.
    spread = random.Random(f"{message}:{attempts}").uniform(0.5, 1.0)  # noqa: S311 - no secret
    return timedelta(seconds=base * spread)


def _mark_sent(
    tx: Tx, message: MessageRecord, wire_id: str, acknowledged_at: datetime, at: datetime
) -> MessageRecord:
    after = _move_message(
        tx,
        message,
        MessageState.SENT,
        at,
        "acknowledged",
        "WhatsApp acknowledged it.",
        wire_id=wire_id,
        sent_at=acknowledged_at,
    )
    return receipts.apply_early_receipts(tx, after, at) or after


def _move_message(
    tx: Tx,
    message: MessageRecord,
    target: MessageState,
    at: datetime,
    reason_code: str,
    sentence: str,
    **columns: object,
) -> MessageRecord:
    return messages.transition_message(
        tx,
        message.id,
        target,
        at=at,
        reason_code=reason_code,
        sentence=sentence,
        who=TRANSPORT_ACTOR,
        **columns,
    )


log = structlog.get_logger("outbox")

_IDLE_SECONDS = 300.0
_STALE_SECONDS = 1.0
_WRITE_RETRY_SECONDS = 1.0


class NextMessage(Struct, frozen=True):
    """The message to send next, or None and the seconds to ``wait`` until there may be one."""

    message: MessageRecord | None
    wait: float


class SessionSender:
    """Sends the cleared messages of one session, one at a time."""

    def __init__(
        self,
        session: str,
        *,
        database: Database,
        gate: Gate,
        evaluator: MessageEvaluator,
        pacing: Pacing,
        breaker: Breaker,
        look_at_clock: Callable[[], Awaitable[None]],
        sessions: Sessions,
        clock: Clock,
        settings: SendingSettings,
    ) -> None:
        self.session = session
        self.wakeup = ClockEvent(clock)
        self._database = database
        self._gate = gate
        self._evaluator = evaluator
        self._pacing = pacing
        self._breaker = breaker
        self._look_at_clock = look_at_clock
        self._sessions = sessions
        self._clock = clock
        self._settings = settings
        self._stopping = False

    def stop(self) -> None:
        """Begin no further message; :meth:`run` returns once the one on the wire has its result."""
        self._stopping = True
        self.wakeup.trigger()

    async def run(self) -> None:
        """Send cleared messages whenever the session can, until `stop`. Errors are only logged."""
        while not self._stopping:
            try:
                wait = await self._send_ready_messages()
            except Exception:
                log.exception("sending_failed", session=self.session)
                wait = _WRITE_RETRY_SECONDS
            if not self._stopping:
                await self.wakeup.wait(wait)

    async def _send_ready_messages(self) -> float:
        """Send until nothing can be sent now; return how many seconds to wait."""
        # Skipped in this round, as they must not hold up the others: a message that fails, and a
        # contact whose facts keep changing, of whom no later message may go before an earlier one.
        skipped = queue.SkippedMessages(set(), set())
        while not self._stopping and self._can_release():
            next_message = await self._find_next_message(skipped)
            if next_message.message is None:
                is_any = skipped.messages or skipped.contacts
                return min(next_message.wait, _STALE_SECONDS) if is_any else next_message.wait
            await self._release_and_send_safely(next_message.message, skipped)
        return _IDLE_SECONDS

    def _can_release(self) -> bool:
        return self._database.refusal is None and self._sessions.can_send(
            self.session, new_chat=False
        )

    async def _release_and_send_safely(
        self, message: MessageRecord, skipped: queue.SkippedMessages
    ) -> None:
        """Evaluate, release and send one message; add it to `skipped` where it was not sent."""
        try:
            if not await self._release_and_send(message):
                skipped.contacts.add(message.contact)
        except Exception:
            log.exception("attempt_failed", message=message.id)
            skipped.messages.add(message.id)

    async def _find_next_message(self, skipped: queue.SkippedMessages) -> NextMessage:
        """Return the next message for which pacing has a slot, or the time until there is one."""
        # Before the gate's second evaluation, which is wasted on a message without a slot.
        now = self._clock.now()
        new_chats = self._sessions.can_send(self.session, new_chat=True)

        def query(reader: Reader) -> NextMessage:
            halt = halts.get_current_halt(reader)
            if halt and not halt.replies_go:
                return NextMessage(None, _IDLE_SECONDS)
            session = evaluation_context.read_session_context(reader, self.session, now)
            known, new = (
                self._pacing.find_slot(reader, session, now, first_contact=first, by_hand=False)
                for first in (False, True)
            )
            if not known.is_open(now):
                return NextMessage(None, _seconds_until(known, now))
            message = queue.get_next_cleared_message(
                reader,
                self.session,
                now,
                new_chats=new_chats and new.is_open(now),
                skipped=skipped,
                answers_only=halt is not None,
            )
            return NextMessage(message, _seconds_until(new, now))

        return await self._database.read(query)

    async def _release_and_send(self, message: MessageRecord) -> bool:
        """Evaluate, release and send one message; False where the evaluation is stale."""
        # A clock that was set ahead a moment ago must not make budgets and ages look different.
        if message.first_contact:
            await self._look_at_clock()
        evaluation = await self._gate.evaluate(message, EvaluationPhase.RELEASE)
        if not evaluation.is_allowed:
            return await self._evaluator.store_evaluation(evaluation) is not None
        decision = new_id("dec", evaluation.at)
        valid = timedelta(minutes=self._settings.permit_minutes)
        release = Release(evaluation, decision, self._gate.sign_permit(evaluation, decision, valid))
        try:
            sending = await self._database.write(
                lambda tx: release.commit(
                    tx,
                    self._pacing,
                    MessageState.SENDING,
                    who="outbox",
                    sentence="Being handed to WhatsApp.",
                )
            )
        except (EvaluationStale, MessageStateConflict) as stale:
            log.warning("release_stale", message=message.id, reason=str(stale))
            if isinstance(stale, EvaluationStale) and stale.reason_code == BREAKER_OBSTACLE:
                await self._breaker.review()
            return False
        await self._send_committed(sending, release.permit)
        return True

    async def _send_committed(self, message: MessageRecord, permit: Permit) -> None:
        """Give a message in ``sending`` to the transport, once, and store its result."""
        # The last check before the wire, for a halt that came right after the commit. A halt that
        # the disk refused is no row.
        halt = await self._database.read(halts.get_current_halt)
        if (halt and halt.stops(message.kind)) or self._database.refusal is not None:
            result: SendResult = Refused("halted", "Sending was halted before it left.", True)
            await self._store_result(message, result, waits_for=WaitsFor.HALT)
            return
        result = await self._await_result(message, permit)
        log.info(
            "send_answered",
            session=self.session,
            message=message.id,
            decision=permit.decision,
            result=type(result).__name__,
        )
        # The session refused before the wire: that is no attempt, and waits for the session.
        unavailable = isinstance(result, SessionUnavailable)
        waits_for = WaitsFor.SESSION if unavailable else None
        await self._store_result(message, result, waits_for=waits_for)

    async def _await_result(self, message: MessageRecord, permit: Permit) -> SendResult:
        """Send, and return the transport's result, or Unknown after ``answer_seconds``."""
        outgoing = Outgoing(message.id, parse_phone_identity(message.recipient), Text(message.text))
        sending = asyncio.ensure_future(
            self._sessions.send(self.session, permit, outgoing, new_chat=message.first_contact)
        )
        # Not `asyncio.timeout`: the limit is by the injected clock.
        limit = asyncio.ensure_future(self._clock.sleep(self._settings.answer_seconds))
        try:
            await asyncio.wait({sending, limit}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                return sending.result()
            seconds = self._settings.answer_seconds
            return Unknown("no_answer", f"No answer came within {seconds:g} s; it may have left.")
        finally:
            for task in (sending, limit):
                task.cancel()
            await asyncio.gather(sending, limit, return_exceptions=True)

    async def _store_result(
        self, message: MessageRecord, result: SendResult, *, waits_for: WaitsFor | None = None
    ) -> None:
        """Store a result, and try again for as long as the disk refuses the write."""

        def job(tx: Tx) -> None:
            now = self._clock.now()
            apply_send_result(tx, message, result, now, self._settings, waits_for=waits_for)

        while True:
            try:
                await self._database.write(job, urgent=True)
            # Giving up would lose the result, and the message would be in doubt after a restart.
            except WriteFailed:
                log.error("answer_not_written", message=message.id)
                await self._clock.sleep(_WRITE_RETRY_SECONDS)
            except MessageStateConflict as moved:
                log.warning("answer_too_late", message=message.id, state=moved.state)
                return
            # A result that can't be stored, as a wire id that is there already: in doubt instead.
            except Exception:
                log.exception("answer_unusable", message=message.id)
                if isinstance(result, Unknown):
                    raise
                result = Unknown("answer_unusable", "The answer could not be stored; see the log.")
            else:
                return


def _seconds_until(slot: PacingSlot, now: datetime) -> float:
    """Return the seconds until a slot opens; the idle time where it is open or has no time."""
    if slot.at is None or slot.at <= now:
        return _IDLE_SECONDS
    return (slot.at - now).total_seconds()
