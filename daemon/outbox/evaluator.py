"""Evaluates queued messages with the gate, and stores all decisions except those of a release."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

import structlog
from msgspec import Struct, field
from msgspec.structs import replace

from daemon.api.clock import Clock
from daemon.contacts.number_checks import NumberCheckPolicy
from daemon.events import GateFaulted
from daemon.gate.gate import Evaluation, EvaluationFault, EvaluationPhase, Gate
from daemon.outbox.release import store_decision
from daemon.outbox.staleness import EvaluationStale, require_fresh
from daemon.sessions.status import describe_block
from daemon.settings import SendingSettings
from rules import Decision, Verdict
from rules.verdict import DeferKind
from statemachines.message import MessageState
from statemachines.vocabulary import WaitsFor
from storage import decisions, messages, queue
from storage.db import Database
from storage.ids import new_id
from storage.messages import MessageRecord, MessageStateConflict
from storage.tx import Reader, Tx

log = structlog.get_logger("outbox")

GATE_ACTOR = "gate"
_BATCH_SIZE = 32
_AT_ONCE: Final = 6
"""How many contacts' messages are evaluated at once."""
_Result: TypeAlias = bool | Exception
"""Whether an evaluation was stored, or was stale instead; or why there is none."""
_MAX_UNKNOWN_CHECKS = 3
_WAITS_FOR: Mapping[DeferKind, WaitsFor] = {
    DeferKind.UNTIL_CHECKED: WaitsFor.CHECKED,
    DeferKind.UNTIL_SESSION_CAN_SEND: WaitsFor.SESSION,
    DeferKind.UNTIL_REGISTER: WaitsFor.REGISTER,
}


class EvaluationTransition(Struct, frozen=True):
    """The transition that follows from an evaluation: target state, reason, further columns."""

    target: MessageState
    reason_code: str
    sentence: str
    columns: Mapping[str, object] = field(default_factory=dict)


class EvaluatedBatch(Struct, frozen=True):
    """How many evaluations were stored, and how many were stale, as their facts had changed."""

    stored: int
    stale: int


class MessageEvaluator:
    """Evaluates queued messages in order, and stores the decision and the new state of each."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        checks: NumberCheckPolicy,
        settings: SendingSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._gate = gate
        self._checks = checks
        self._settings = settings
        self._begun: dict[str, float] = {}
        self.busy_since: float | None = None
        """Since when (`time.monotonic()`) a message is being evaluated, the longest of those that
        are; None if there is none."""

    async def evaluate_queued(self) -> EvaluatedBatch:
        """Evaluate a batch of queued messages. Raises an error only where no message was stored."""
        waiting = await self._database.read(
            lambda reader: queue.list_queued_messages(reader, _BATCH_SIZE)
        )
        by_contact: dict[str, list[MessageRecord]] = {}
        for message in waiting:
            by_contact.setdefault(message.contact, []).append(message)
        places = asyncio.Semaphore(_AT_ONCE)
        results: list[_Result] = []
        # Several people at once, because each evaluation waits for the disk; the messages of one
        # after each other, because the second is judged by what became of the first.
        async with asyncio.TaskGroup() as group:
            for own in by_contact.values():
                group.create_task(self._evaluate_in_order(own, places, results))
        counts = Counter(each for each in results if isinstance(each, bool))
        failed = next((each for each in results if isinstance(each, Exception)), None)
        if failed is not None and not counts[True]:
            raise failed
        return EvaluatedBatch(stored=counts[True], stale=counts[False])

    async def _evaluate_in_order(
        self, own: Sequence[MessageRecord], places: asyncio.Semaphore, results: list[_Result]
    ) -> None:
        """Evaluate one contact's messages; add for each whether it was stored, or its error.

        One that was stale ends that: those after it wait until it is evaluated again.
        """
        for message in own:
            async with places:
                with self._noting_begin(message.id):
                    result = await self._evaluate_message(message)
            results.append(result)
            if result is False:
                return

    @contextlib.contextmanager
    def _noting_begin(self, message: str) -> Iterator[None]:
        """Let `busy_since` count this message for the length of the block."""
        self._begun[message] = time.monotonic()
        self.busy_since = min(self._begun.values())
        try:
            yield
        finally:
            del self._begun[message]
            self.busy_since = min(self._begun.values(), default=None)

    async def _evaluate_message(self, message: MessageRecord) -> _Result:
        """Return whether the evaluation was stored, False where it was stale, or the error."""
        try:
            if unreadable := message.list_unreadable_columns():
                return await self._hold_unreadable(message, unreadable)
            evaluation = await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
            return await self.store_evaluation(evaluation) is not None
        # The others are evaluated all the same: one bad message must not stop the queue.
        except Exception as error:
            log.exception("evaluation_failed", message=message.id)
            return error

    async def _hold_unreadable(self, message: MessageRecord, columns: Sequence[str]) -> bool:
        """Hold a message whose row another program altered; return False where it has moved on."""
        log.warning("message_row_unreadable")  # the page names which, the log says it once a minute
        sentence = (
            f"Its row in the database was altered: {', '.join(columns)} can't be read. "
            "Reject it, and send it again."
        )
        transition = partial(
            messages.transition_message,
            message=message.id,
            target=MessageState.HELD,
            at=self._clock.now(),
            reason_code="row_unreadable",
            sentence=sentence,
            who=GATE_ACTOR,
        )
        try:
            await self._database.write(transition)
        except MessageStateConflict:
            return False
        return True

    async def store_evaluation(self, evaluation: Evaluation) -> MessageRecord | None:
        """Store the decision and move the message; None where the evaluation is stale."""
        chosen = self.choose_transition(evaluation)

        def job(tx: Tx) -> MessageRecord:
            require_fresh(tx, evaluation)
            transition = _hold_routing_loop(tx, evaluation, chosen)
            transition = self.name_check_obstacle(tx, evaluation, transition)
            decision = new_id("dec", evaluation.at)
            store_decision(tx, evaluation, decision)
            if isinstance(evaluation.outcome, EvaluationFault):
                tx.emit(
                    GateFaulted(
                        subject=evaluation.message.id,
                        at=evaluation.at,
                        reason_code=evaluation.outcome.reason_code,
                        sentence=evaluation.outcome.sentence,
                    )
                )
            return messages.transition_message(
                tx,
                evaluation.message.id,
                transition.target,
                at=evaluation.at,
                reason_code=transition.reason_code,
                sentence=transition.sentence,
                who=GATE_ACTOR,
                decision=decision,
                kind=evaluation.facts["message.kind"],
                first_contact=int(evaluation.first_contact),
                **transition.columns,
            )

        try:
            return await self._database.write(job)
        except (MessageStateConflict, EvaluationStale) as stale:
            log.info("evaluation_stale", message=evaluation.message.id, reason=str(stale))
            return None

    def choose_transition(self, evaluation: Evaluation) -> EvaluationTransition:
        """Return the transition that follows from an evaluation; nothing is stored."""
        if isinstance(evaluation.outcome, EvaluationFault):
            return self._build_fault_transition(
                evaluation.message, evaluation.outcome, evaluation.at
            )
        decision = evaluation.outcome
        no_faults: dict[str, object] = {"faults": 0}
        if decision.verdict is Verdict.DEFER:
            return self._build_deferral(evaluation, decision)
        if decision.verdict is Verdict.ROUTE:
            columns = {"channel": decision.route} | no_faults
            return EvaluationTransition(
                MessageState.QUEUED, decision.reason_code, decision.sentence, columns
            )
        target = {
            Verdict.ALLOW: MessageState.CLEARED,
            Verdict.REVIEW: MessageState.HELD,
            Verdict.BLOCK: MessageState.BLOCKED,
        }[decision.verdict]
        return EvaluationTransition(target, decision.reason_code, decision.sentence, no_faults)

    def _build_deferral(self, evaluation: Evaluation, decision: Decision) -> EvaluationTransition:
        """Return the transition to ``deferred``: until an event, or else until a time."""
        kinds = [defer.kind for defer in decision.defers]
        waits_for = next((word for kind, word in _WAITS_FOR.items() if kind in kinds), None)
        prospect = evaluation.context.prospect
        attempts = prospect.check_attempts if prospect is not None else 0
        # A further check would end as the others did, so a person decides.
        if waits_for is WaitsFor.CHECKED and attempts >= _MAX_UNKNOWN_CHECKS:
            sentence = "Three checks could not tell whether the number is on WhatsApp"
            return EvaluationTransition(MessageState.HELD, "still_unknown", sentence, {"faults": 0})
        session, reason_code, sentence = (
            evaluation.context.session,
            decision.reason_code,
            decision.sentence,
        )
        block = session.get_block(evaluation.message.channel)
        blocked_by = block if waits_for is WaitsFor.SESSION else None
        if blocked_by is not None:
            reason_code, sentence = blocked_by.value, describe_block(blocked_by, session.name)
        columns: dict[str, object] = {
            "waits_for": waits_for,
            "blocked_by": blocked_by,
            # After the event it is evaluated again, which finds a time to wait for, too.
            "due_at": None if waits_for else evaluation.deferred_until,
            "needs_review": int(decision.needs_review),
            "faults": 0,
            **self._extend_expiry(evaluation, decision),
        }
        return EvaluationTransition(MessageState.DEFERRED, reason_code, sentence, columns)

    def _extend_expiry(self, evaluation: Evaluation, decision: Decision) -> dict[str, object]:
        """Return the column for a message that would expire while it waits for business days.

        Where nobody said how long it may wait, its time begins when it may go.
        """
        message, until = evaluation.message, evaluation.deferred_until
        waits = any(each.kind is DeferKind.UNTIL_BUSINESS_DAYS for each in decision.defers)
        if until is None or not (waits and message.expires_by_default):
            return {}
        begins_then = until + timedelta(days=self._settings.expires_days)
        return {"not_after": max(message.not_after, begins_then)}

    def name_check_obstacle(
        self, reader: Reader, evaluation: Evaluation, transition: EvaluationTransition
    ) -> EvaluationTransition:
        """Name the date from which the number may be checked, or that no phone can check it."""
        if transition.columns.get("waits_for") is not WaitsFor.CHECKED:
            return transition
        obstacle = self._checks.find_obstacle(reader, evaluation.at)
        if obstacle is None:
            return transition
        return replace(
            transition,
            reason_code=obstacle.block.value,
            sentence=obstacle.sentence,
            columns={**transition.columns, "blocked_by": obstacle.block, "due_at": obstacle.at},
        )

    def _build_fault_transition(
        self, message: MessageRecord, fault: EvaluationFault, at: datetime
    ) -> EvaluationTransition:
        """Return a deferral that doubles with each fault, or a hold after too many."""
        faults = message.faults + 1
        if faults > self._settings.gate_fault_retries:
            return EvaluationTransition(
                MessageState.HELD, fault.reason_code, fault.sentence, {"faults": faults}
            )
        wait = timedelta(minutes=2 ** (faults - 1))
        columns: dict[str, object] = {"faults": faults, "due_at": at + wait, "waits_for": None}
        return EvaluationTransition(MessageState.DEFERRED, "gate_fault", fault.sentence, columns)


def _hold_routing_loop(
    tx: Tx, evaluation: Evaluation, transition: EvaluationTransition
) -> EvaluationTransition:
    """Return a hold in place of a second change of channel, else the transition as it is."""
    # Rules could re-route a message between two channels for ever.
    route = transition.columns.get("channel")
    if route is None or (
        route != evaluation.message.channel
        and not decisions.is_message_rerouted(tx, evaluation.message.id)
    ):
        return transition
    sentence = "The rules move it from channel to channel; a person has to decide"
    return EvaluationTransition(MessageState.HELD, "routed_in_circles", sentence, {"faults": 0})
