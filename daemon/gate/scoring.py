"""Recomputes a prospect's permission and score from its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog

import rules
from daemon.events import ProspectChanged
from daemon.gate import facts
from daemon.gate.consent import derive_permission_state
from daemon.rulesets.active import ActiveRulesets
from storage import contacts, evidence, prospects, suppressions
from storage.evidence import Evidence
from storage.prospects import ProspectRecord
from storage.tx import Tx

_PUBLISHED_COLUMNS: Final = ("permission", "score_contactabilidad", "score_explanation")

log = structlog.get_logger("scoring")


class Scoring:
    """Keeps the derived columns of prospects up to date with the evidence on their contacts."""

    def __init__(self, rulesets: ActiveRulesets) -> None:
        self._rulesets = rulesets

    def compute_score(self, prospect_facts: Mapping[str, object]) -> rules.ScoreResult | None:
        """Return ``score_contactabilidad`` for these facts, or None if the engines fault."""
        try:
            return self._rulesets.score.score(prospect_facts)
        except rules.GateFault as fault:
            log.error("score_faulted", reason_code=fault.reason_code)
            return None

    def refresh_prospect(
        self, tx: Tx, contact: str, now: datetime, *, reason_code: str, sentence: str
    ) -> None:
        """Recompute permission and score of the contact's prospect in this transaction.

        Call it after adding evidence. Emits ``prospect.changed`` where a column changed.
        """
        # First, and for contacts without a prospect too: it makes every open decision on the
        # contact stale, so that the release evaluates its messages again.
        contacts.bump_contact_revision(tx, contact)
        prospect = prospects.find_prospect_by_contact(tx, contact)
        if prospect is None:
            return
        known = evidence.list_contact_evidence(tx, contact)
        changes = self._compute_columns(tx, prospect, known, now)
        if all(getattr(prospect, name) == value for name, value in changes.items()):
            return
        prospects.update_prospect(tx, prospect.id, at=now, **changes)
        before, after = (
            each.as_of(now) for each in (prospect, prospects.require_prospect(tx, prospect.id))
        )
        if all(getattr(before, name) == getattr(after, name) for name in _PUBLISHED_COLUMNS):
            return  # a conversation that goes on for longer
        tx.emit(
            ProspectChanged(
                subject=after.id,
                at=now,
                validation=str(after.validation),
                validado_tecnicamente=after.validado_tecnicamente,
                score_contactabilidad=after.score_contactabilidad,
                permission=str(after.permission),
                reason_code=reason_code,
                sentence=sentence,
            )
        )

    def _compute_columns(
        self, tx: Tx, prospect: ProspectRecord, pieces: Sequence[Evidence], now: datetime
    ) -> dict[str, object]:
        result = self.compute_score(
            facts.build_prospect_facts(
                prospect,
                pieces,
                suppressed=suppressions.is_contact_suppressed(tx, prospect.contact),
                at=now,
            )
        )
        permission = derive_permission_state(pieces)
        columns: dict[str, object] = {
            "permission": permission.lasting.value,
            "conversation_until": permission.conversation_until,
        }
        # After a fault the old score stays, rather than none.
        if result is not None:
            columns["score_contactabilidad"] = result.score
            columns["score_explanation"] = json.dumps(result.to_dict(), ensure_ascii=False)
        return columns
