"""What is stored of a look of the gate: the decision, its facts, and what the shadow said."""

from __future__ import annotations

import rules
from daemon import facts
from daemon.gate import Evaluation, EvaluationFault
from storage import decisions, shadows
from storage.decisions import DecisionRecord
from storage.tx import Tx


def store_decision(tx: Tx, evaluation: Evaluation, decision: str) -> None:
    """Store what a look found, and what the shadow would have said, under this id."""
    record = _build_decision_record(evaluation, decision)
    decisions.insert_decision(tx, record)
    if evaluation.shadow is not None:
        shadows.insert_shadow_decision(
            tx,
            decision=decision,
            at=evaluation.at,
            ruleset=evaluation.shadow.ruleset,
            verdict=evaluation.shadow.verdict.value,
            live=record.verdict,
            document=evaluation.shadow.to_dict(),
        )


def _build_decision_record(evaluation: Evaluation, decision: str) -> DecisionRecord:
    """Return what is stored of a look, under the id ``decision``."""
    outcome = evaluation.outcome
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
