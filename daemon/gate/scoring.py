"""Recomputes a prospect's permission and score from its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from msgspec import Struct

import rules
from daemon.events import ProspectChanged
from daemon.gate import facts
from daemon.gate.consent import derive_permission_state
from daemon.rulesets.active import ActiveRulesets
from storage import contacts, evidence, prospects, suppressions
from storage.evidence import Evidence
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.score_explanations import compute_explanation_id, store_score_explanations
from storage.tx import Tx

_PUBLISHED_COLUMNS: Final = ("permission", "score_contactabilidad", "score_explanation")

_MAX_KNOWN: Final = 4096

log = structlog.get_logger("scoring")


class DerivedColumns(Struct, frozen=True):
    """The columns of a prospect that follow from evidence, and the score's explanation as JSON.

    After a fault of the engines ``document`` is None, and nothing is known of the score.
    """

    permission: str
    conversation_until: datetime | None
    score_contactabilidad: int | None
    score_explanation: int | None
    document: str | None

    def list_changes(self) -> dict[str, Any]:
        """Return the columns to be stored, by name; after a fault the old score stays."""
        changes: dict[str, Any] = {
            "permission": self.permission,
            "conversation_until": self.conversation_until,
        }
        if self.document is not None:
            changes["score_contactabilidad"] = self.score_contactabilidad
            changes["score_explanation"] = self.score_explanation
        return changes


class Scoring:
    """Keeps the derived columns of prospects up to date with the evidence on their contacts."""

    def __init__(self, rulesets: ActiveRulesets) -> None:
        self._rulesets = rulesets
        # The people of a list differ in few facts, and equal facts have equal scores.
        self._known: dict[tuple[object, ...], DerivedColumns] = {}
        self._known_of: rules.RuleEvaluator | None = None

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
        pieces = evidence.list_contact_evidence(tx, contact)
        suppressed = suppressions.is_contact_suppressed(tx, contact)
        derived = self._derive_columns(prospect, pieces, now, suppressed=suppressed)
        changes = derived.list_changes()
        if all(getattr(prospect, name) == value for name, value in changes.items()):
            return
        if derived.score_explanation is not None and derived.document is not None:
            store_score_explanations(tx, {derived.score_explanation: derived.document})
        prospects.update_prospect(tx, prospect.id, at=now, **changes)
        before, after = (
            each.as_of(now) for each in (prospect, prospects.require_prospect(tx, prospect.id))
        )
        if all(getattr(before, name) == getattr(after, name) for name in _PUBLISHED_COLUMNS):
            return  # a conversation that goes on for longer
        tx.emit(build_change_event(after, now, reason_code=reason_code, sentence=sentence))

    def derive_new_columns(
        self, new: NewProspectRecord, piece: Evidence, now: datetime
    ) -> DerivedColumns:
        """Return the columns of a prospect that is not stored yet; nobody suppressed the contact.

        ``piece`` is all that is known of the contact: the permission that a list gives. The caller
        stores the explanation, too.
        """
        if self._known_of is not self._rulesets.score or len(self._known) > _MAX_KNOWN:
            self._known.clear()
            self._known_of = self._rulesets.score
        # All that facts are built from; a name, a number or a note is none.
        age = facts.count_whole_days(new.data_date, now)
        known = (piece.kind, piece.value, new.line_type, new.country, new.cartera_origen, age)
        found = self._known.get(known)
        if found is None:
            record = prospects.build_prospect_record(new, at=now)
            found = self._derive_columns(record, (piece,), now, suppressed=False)
            self._known[known] = found
        return found

    def _derive_columns(
        self,
        prospect: ProspectRecord,
        pieces: Sequence[Evidence],
        now: datetime,
        *,
        suppressed: bool,
    ) -> DerivedColumns:
        permission = derive_permission_state(pieces)
        score, document = self._compute_score(
            facts.build_prospect_facts(prospect, pieces, suppressed=suppressed, at=now)
        )
        return DerivedColumns(
            permission.lasting.value,
            permission.conversation_until,
            score,
            None if document is None else compute_explanation_id(document),
            document,
        )

    def _compute_score(self, prospect_facts: Mapping[str, object]) -> tuple[int | None, str | None]:
        """Return the score for these facts with its explanation; nothing if the engines fault."""
        try:
            result = self._rulesets.score.score(prospect_facts)
        except rules.GateFault as fault:
            log.error("score_faulted", reason_code=fault.reason_code)
            return None, None
        return result.score, json.dumps(result.to_dict(), ensure_ascii=False)


def build_change_event(
    prospect: ProspectRecord, now: datetime, *, reason_code: str, sentence: str
) -> ProspectChanged:
    """Return the event of a prospect that was added or changed, as it is now."""
    return ProspectChanged(
        subject=prospect.id,
        at=now,
        validation=str(prospect.validation),
        validado_tecnicamente=prospect.validado_tecnicamente,
        score_contactabilidad=prospect.score_contactabilidad,
        permission=str(prospect.permission),
        reason_code=reason_code,
        sentence=sentence,
    )
