"""Writes many new prospects at once: judged first, then inserted whole, table by table.

The rows are those that :class:`ImportWriter` writes for one record, if nothing about the contact is
stored yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.row_records import (
    build_import_sentence,
    build_new_prospect,
    build_outcome,
    build_permission_evidence,
    get_accepted_outcome,
)
from daemon.events import ProspectChanged
from daemon.gate.scoring import Scoring, build_change_event
from storage import contacts, evidence, prospect_fields, prospects, score_explanations
from storage.contacts import Alias
from storage.evidence import Evidence
from storage.ids import new_id
from storage.imports import ImportRecord, ImportRowRecord
from storage.prospects import NewProspectRecord, ProspectRecord, build_prospect_record
from storage.tx import Tx


class NewPeopleWriter:
    """Writes records whose aliases no contact has, and that are not suppressed."""

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring

    def write(
        self,
        tx: Tx,
        import_record: ImportRecord,
        records: Sequence[ParsedImportRow],
        aliases: Mapping[int, Sequence[Alias]],
        at: datetime,
    ) -> list[ImportRowRecord]:
        """Store these records; return their outcomes. ``aliases`` are by record number."""
        people = {new_id("con", at): record for record in records}
        contacts.insert_contacts(
            tx, {contact: aliases[record.record] for contact, record in people.items()}, at
        )
        pieces = {
            contact: build_permission_evidence(
                import_record, record, granted=record.permission, at=at
            )
            for contact, record in people.items()
        }
        evidence.insert_evidence_pieces(tx, list(pieces.items()))
        found = self._insert_prospects(
            tx,
            [build_new_prospect(import_record, *person) for person in people.items()],
            pieces,
            at,
        )
        prospect_fields.insert_prospect_fields(
            tx,
            {
                prospect.id: record.fields
                for prospect, record in zip(found, records, strict=True)
                if record.fields
            },
        )
        tx.emit_many(_build_events(import_record, records, found, at))
        return [
            build_outcome(record, get_accepted_outcome(record.line_type), record.phone, prospect.id)
            for record, prospect in zip(records, found, strict=True)
        ]

    def _insert_prospects(
        self,
        tx: Tx,
        people: Sequence[NewProspectRecord],
        pieces: Mapping[str, Evidence],
        at: datetime,
    ) -> list[ProspectRecord]:
        """Store prospects with permission and score; ``pieces`` are by contact."""
        found: list[ProspectRecord] = []
        explanations: dict[int, str] = {}
        for new in people:
            derived = self._scoring.derive_new_columns(new, pieces[new.contact], at)
            record = build_prospect_record(
                new,
                at=at,
                permission=derived.permission,
                score_contactabilidad=derived.score_contactabilidad,
                score_explanation=derived.score_explanation,
            )
            found.append(record)
            if derived.score_explanation is not None and derived.document is not None:
                explanations[derived.score_explanation] = derived.document
        score_explanations.store_score_explanations(tx, explanations)
        prospects.insert_prospects(tx, found)
        return found


def _build_events(
    import_record: ImportRecord,
    records: Sequence[ParsedImportRow],
    found: Sequence[ProspectRecord],
    at: datetime,
) -> list[ProspectChanged]:
    return [
        build_change_event(
            prospect,
            at,
            reason_code="imported",
            sentence=build_import_sentence(import_record, record),
        )
        for record, prospect in zip(records, found, strict=True)
    ]
