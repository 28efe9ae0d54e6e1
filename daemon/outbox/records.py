"""What is stored of a look of the gate: the decision, its facts, and what the shadow said."""

from __future__ import annotations

import rules
from daemon import facts
from daemon.gate import Fault, Look
from storage import decisions, shadows
from storage.decisions import DecisionRecord
from storage.tx import Tx


def keep(tx: Tx, look: Look, decision: str) -> None:
    """Store what a look found, and what the shadow would have said, under this id."""
    record = _record_of(look, decision)
    decisions.add(tx, record)
    if look.shadow is not None:
        shadows.add(
            tx,
            decision=decision,
            at=look.at,
            ruleset=look.shadow.ruleset,
            verdict=look.shadow.verdict.value,
            live=record.verdict,
            document=look.shadow.to_dict(),
        )


def _record_of(look: Look, decision: str) -> DecisionRecord:
    """Return what is stored of a look, under the id ``decision``."""
    outcome = look.outcome
    if isinstance(outcome, Fault):
        verdict = rules.Verdict.BLOCK.value
        document: dict[str, object] = {
            "verdict": verdict,
            "reason_code": outcome.reason_code,
            "sentence": outcome.sentence,
            "fault": outcome.dump,
            "ruleset": look.ruleset,
        }
    else:
        verdict, document = outcome.verdict.value, outcome.to_dict()
    return DecisionRecord(
        id=decision,
        message=look.message.id,
        at=look.at,
        phase=look.phase,
        ruleset=look.ruleset,
        verdict=verdict,
        body_hash=look.message.body_hash,
        recipient=look.message.recipient,
        document=document,
        facts=facts.for_storage(look.facts, look.message.body_hash),
        microseconds=look.microseconds,
    )
