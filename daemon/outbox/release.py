"""The transaction that releases a message: decision, permit, budget and state together.

The facts of the evaluation are compared with the rows at the commit. Where any has changed the
evaluation is stale, nothing is stored, and the message is evaluated again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

import rules
from daemon.api.permit import Permit
from daemon.gate import facts
from daemon.gate.gate import Evaluation, EvaluationFault
from daemon.numbers.breaker import count_for_breaker, find_trip
from daemon.outbox.pacing import Pacing
from daemon.outbox.staleness import EvaluationStale, require_fresh
from statemachines.message import MessageState
from statemachines.vocabulary import BuiltinChannel, MessageKind
from storage import (
    contacts,
    decisions,
    halts,
    messages,
    prospects,
    queue,
    shadow_decisions,
    suppressions,
)
from storage.decisions import DecisionRecord
from storage.evaluation_context import read_session_context
from storage.messages import MessageRecord
from storage.tx import Tx

BREAKER_OBSTACLE: Final = "breaker"
"""The reason of a release that the breaker's counts forbid, before the breaker has stored that."""


def store_decision(tx: Tx, evaluation: Evaluation, decision: str) -> None:
    """Store an evaluation's decision under this id, and the shadow's verdict if there is one."""
    record = _build_decision_record(evaluation, decision)
    decisions.insert_decision(tx, record)
    if evaluation.shadow is not None:
        shadow_decisions.insert_shadow_decision(
            tx,
            decision=decision,
            at=evaluation.at,
            ruleset=evaluation.shadow.ruleset,
            verdict=evaluation.shadow.verdict.value,
            live=record.verdict,
            document=evaluation.shadow.to_dict(),
        )


def _build_decision_record(evaluation: Evaluation, decision: str) -> DecisionRecord:
    """Return the record of an evaluation, with the id ``decision``."""
    outcome = evaluation.outcome
    # A fault is stored as `block` with its own reason code, since nothing may be sent on it.
    if isinstance(outcome, EvaluationFault):
        verdict = rules.Verdict.BLOCK.value
        document: dict[str, object] = {
            "verdict": verdict,
            "reason_code": outcome.reason_code,
            "sentence": outcome.sentence,
            "fault": outcome.dump,
            "ruleset": evaluation.ruleset,
        }
    else:
        verdict, document = outcome.verdict.value, outcome.to_dict()
    return DecisionRecord(
        id=decision,
        message=evaluation.message.id,
        at=evaluation.at,
        phase=evaluation.phase,
        ruleset=evaluation.ruleset,
        verdict=verdict,
        body_hash=evaluation.message.body_hash,
        recipient=evaluation.message.recipient,
        document=document,
        facts=facts.redact_facts(evaluation.facts, evaluation.message.body_hash),
        microseconds=evaluation.microseconds,
    )


class Release(Struct, frozen=True):
    """An allowed message to be sent: its evaluation, the decision's id, and the signed permit."""

    evaluation: Evaluation
    decision: str
    permit: Permit

    def commit(
        self,
        tx: Tx,
        pacing: Pacing,
        target: MessageState,
        *,
        who: str,
        sentence: str,
        **columns: object,
    ) -> MessageRecord:
        """Redeem the permit and move the message to ``target``: ``sending``, or ``taken`` by hand.

        Raises :class:`EvaluationStale` where the evaluation does not fit the rows any more.
        """
        evaluation = self.evaluation
        by_hand = evaluation.message.channel == BuiltinChannel.MANUAL
        require_fresh(tx, evaluation)
        if reason := next(_list_obstacles(tx, evaluation), "") or _find_pacing_obstacle(
            tx, evaluation, pacing, by_hand=by_hand
        ):
            raise EvaluationStale(reason)
        self._redeem_permit(tx)
        self._record_spends(tx, pacing, by_hand=by_hand)
        return messages.transition_message(
            tx,
            evaluation.message.id,
            target,
            at=evaluation.at,
            reason_code="allowed",
            sentence=sentence,
            who=who,
            decision=self.decision,
            permit=self.permit.id,
            kind=evaluation.facts["message.kind"],
            first_contact=int(evaluation.first_contact),
            faults=0,
            **columns,
        )

    def _record_spends(self, tx: Tx, pacing: Pacing, *, by_hand: bool) -> None:
        """Record what the message spends of its number's budgets."""
        pacing.record_spends(
            tx,
            self.evaluation.context.session,
            self.evaluation.message.id,
            self.evaluation.at,
            first_contact=self.evaluation.first_contact,
            by_hand=by_hand,
        )

    def _redeem_permit(self, tx: Tx) -> None:
        """Store the decision and redeem the permit. Raises IntegrityError the second time."""
        # The decision first: the permit's row refers to it.
        store_decision(tx, self.evaluation, self.decision)
        decisions.redeem_permit(
            tx,
            permit=self.permit.id,
            message=self.permit.message,
            decision=self.decision,
            document=msgspec.json.encode(self.permit).decode(),
            at=self.evaluation.at,
            expires_at=self.permit.expires_at,
        )


def _list_obstacles(tx: Tx, evaluation: Evaluation) -> Iterator[str]:
    """Yield the reasons why a message can't be released: the hard limits, by the present rows."""
    # Though the revision is compared too: these promises must not depend on every writer's
    # remembering to count it up.
    seen = evaluation.message
    halt = halts.get_current_halt(tx)
    if halt and halt.stops(str(evaluation.facts["message.kind"])):
        yield "halted"
    if not (seen.not_before or evaluation.at) <= evaluation.at < seen.not_after:
        yield "not_its_time"
    confirms_opt_out = seen.kind == MessageKind.OPT_OUT_CONFIRMATION
    if suppressions.is_contact_suppressed(tx, seen.contact) and not confirms_opt_out:
        yield "suppressed"
    prospect = prospects.find_prospect_by_contact(tx, seen.contact)
    if prospect is None or facts.compute_validado(prospect, evaluation.at) is not True:
        yield "not_validated"
    # The number may have been moved to another contact, whose suppression would count.
    if contacts.find_contact_by_alias(tx, seen.recipient) != seen.contact:
        yield "recipient_is_somebody_else"
    if queue.is_contact_busy(tx, seen.contact, other_than=seen.id):
        yield "contact_busy"
    if evaluation.facts["message.approved"] and not _is_approved(tx, seen, evaluation.at):
        yield "approval_over"


def _is_approved(tx: Tx, message: MessageRecord, at: datetime) -> bool:
    return decisions.is_message_approved(
        tx,
        message=message.id,
        body_hash=message.body_hash,
        recipient=message.recipient,
        channel=message.channel,
        at=at,
    )


def _find_pacing_obstacle(tx: Tx, evaluation: Evaluation, pacing: Pacing, *, by_hand: bool) -> str:
    session = evaluation.context.session
    if evaluation.first_contact:
        # Read again: a ban or the breaker may have stopped new chats since the gate evaluated.
        session = read_session_context(tx, session.name, evaluation.at)
        number = session.number
        if number is not None and find_trip(count_for_breaker(tx, number, evaluation.at)):
            return BREAKER_OBSTACLE
    slot = pacing.find_slot(
        tx,
        session,
        evaluation.at,
        first_contact=evaluation.first_contact,
        by_hand=by_hand,
    )
    return "" if slot.is_open(evaluation.at) else slot.reason_code
