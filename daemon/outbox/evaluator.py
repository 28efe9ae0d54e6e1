"""Evaluates queued messages with the gate, and stores all decisions except those of a release."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

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
from storage.tx import Tx

log = structlog.get_logger("outbox")

GATE_ACTOR = "gate"
_BATCH_SIZE = 32
_MAX_UNKNOWN_CHECKS = 3
_WAITS_FOR: Mapping[DeferKind, WaitsFor] = {
    DeferKind.UNTIL_CHECKED: WaitsFor.CHECKED,
    DeferKind.UNTIL_SESSION_CAN_SEND: WaitsFor.SESSION,
    DeferKind.UNTIL_REGISTER: WaitsFor.REGISTER,
}


@dataclass(frozen=True, slots=True)
class EvaluationTransition:
    """The transition that follows from an evaluation: target state, reason, further columns."""

    target: MessageState
    reason_code: str
    sentence: str
    columns: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EvaluatedBatch:
    """How many evaluations were stored, and how many were stale, as their facts had changed."""

    stored: int
    stale: int


class MessageEvaluator:
    """Evaluates queued messages in order, and stores the decision and the new state of each."""

    def __init__(
        self, database: Database, gate: Gate, checks: NumberCheckPolicy, settings: SendingSettings
    ) -> None:
        self._database = database
        self._gate = gate
        self._checks = checks
        self._settings = settings
        self.busy_since: float | None = None
        """Since when (`time.monotonic()`) a message is being evaluated; None if there is none."""

    async def evaluate_queued(self) -> EvaluatedBatch:
        """Evaluate a batch of queued messages. Raises an error only where no message was stored."""
        waiting = await self._database.read(
            lambda reader: queue.list_queued_messages(reader, _BATCH_SIZE)
        )
        failed: Exception | None = None
        stored = stale = 0
        for message in waiting:
            self.busy_since = time.monotonic()
            try:
                evaluation = await self._gate.evaluate(message, EvaluationPhase.ENQUEUE)
                if await self.store_evaluation(evaluation) is None:
                    stale += 1
                else:
                    stored += 1
            # The others are evaluated all the same: one bad message must not stop the queue.
            except Exception as error:
                log.exception("evaluation_failed", message=message.id)
                failed = error
            finally:
                self.busy_since = None
        if failed is not None and not stored:
            raise failed
        return EvaluatedBatch(stored, stale)

    async def store_evaluation(self, evaluation: Evaluation) -> MessageRecord | None:
        """Store the decision and move the message; None where the evaluation is stale."""
        chosen = self._choose_transition(evaluation)

        def job(tx: Tx) -> MessageRecord:
            require_fresh(tx, evaluation)
            transition = _hold_routing_loop(tx, evaluation, chosen)
            transition = self._name_check_obstacle(tx, evaluation, transition)
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

    def _choose_transition(self, evaluation: Evaluation) -> EvaluationTransition:
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

    def _name_check_obstacle(
        self, tx: Tx, evaluation: Evaluation, transition: EvaluationTransition
    ) -> EvaluationTransition:
        """Name the date from which the number may be checked, or that no phone can check it."""
        if transition.columns.get("waits_for") is not WaitsFor.CHECKED:
            return transition
        obstacle = self._checks.find_obstacle(tx, evaluation.at)
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
