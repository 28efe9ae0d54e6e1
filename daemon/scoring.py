"""A prospect's standing, computed anew from its evidence: permission, score, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

import rules
from daemon import facts
from daemon.consent import permission_of
from daemon.events import ProspectChanged
from daemon.rulebook import Rulebook
from storage import contacts, evidence, prospects, suppressions
from storage.evidence import Evidence
from storage.prospects import ProspectRecord
from storage.tx import Tx

log = structlog.get_logger("scoring")


class Scoring:
    """Keeps the columns of a prospect in step with what is known of its contact."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook

    def score(self, known: Mapping[str, object]) -> rules.ScoreResult | None:
        """Return ``score_contactabilidad`` for these facts, or None when the engines fault."""
        try:
            return self._rulebook.score.score(known)
        except rules.GateFault as fault:
            log.error("score_faulted", reason_code=fault.reason_code)
            return None

    def refresh(
        self, tx: Tx, contact: str, now: datetime, *, reason_code: str, sentence: str
    ) -> None:
        """Recompute permission and score of the contact's prospect in this transaction.

        Call it after adding evidence. Every open decision on the contact becomes stale by it
        (its revision grows), and ``prospect.changed`` is emitted where a column changed.
        """
        contacts.touch(tx, contact)
        prospect = prospects.of_contact(tx, contact)
        if prospect is None:
            return
        known = evidence.of_contact(tx, contact)
        changes = self._columns(tx, prospect, known, now)
        if all(getattr(prospect, name) == value for name, value in changes.items()):
            return
        prospects.update(tx, prospect.id, at=now, **changes)
        after = prospects.must(tx, prospect.id)
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

    def _columns(
        self, tx: Tx, prospect: ProspectRecord, known: Sequence[Evidence], now: datetime
    ) -> dict[str, object]:
        result = self.score(
            facts.of_prospect(
                prospect,
                known,
                suppressed=suppressions.is_suppressed(tx, prospect.contact),
                at=now,
            )
        )
        columns: dict[str, object] = {"permission": permission_of(known, now).value}
        if result is not None:
            columns["score_contactabilidad"] = result.score
            columns["score_explanation"] = json.dumps(result.to_dict(), ensure_ascii=False)
        return columns
