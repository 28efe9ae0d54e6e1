"""Writes parsed rows to the database: as new prospects, duplicates or rejects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from daemon.api.numbers import REACHABLE_LINE_TYPES, LineType
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports.known_people import (
    decide_known_permission,
    is_better_number,
    list_gaps,
)
from daemon.contacts.imports.new_people import NewPeopleWriter
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.row_records import (
    build_import_sentence,
    build_new_prospect,
    build_outcome,
    build_permission_evidence,
    get_accepted_outcome,
)
from daemon.contacts.validation_transitions import ValidationTransitions, has_delivery_failed
from daemon.gate.consent import find_last_refusal
from daemon.gate.scoring import Scoring
from statemachines.prospect import CHECKABLE_STATES, ValidationState
from storage import contacts, evidence, imports, prospect_fields, prospects, suppressions
from storage.contacts import Alias
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

_UNDECIDED_STATES: Final = CHECKABLE_STATES | {ValidationState.CHECKING}


class ImportWriter:
    """Writes records in file order, each as a new prospect, a duplicate or a reject."""

    def __init__(
        self, aliases: Aliases, scoring: Scoring, transitions: ValidationTransitions
    ) -> None:
        self._aliases = aliases
        self._scoring = scoring
        self._transitions = transitions
        self._new_people = NewPeopleWriter(scoring)

    def write_rows(
        self,
        tx: Tx,
        import_record: ImportRecord,
        records: Sequence[ParsedImportRow],
        at: datetime,
        *,
        given: str = "",
        record_consents: bool = False,
    ) -> None:
        """Write these records in this transaction; one that was written before is left alone.

        ``given`` states where and how the numbers were given as WhatsApp; empty without one.
        ``record_consents`` is whether a yes with evidence raises the permission of people who were
        here before this import.
        """
        # An import that was cut short starts at its first record again.
        written = imports.list_written_records(
            tx, import_record.id, records[0].record, records[-1].record
        )
        numbers = {
            each.record: self._aliases.from_phone(each.phone)
            for each in records
            if each.phone and each.record not in written
        }
        new = set() if given else _find_new_people(tx, numbers)
        people = [each for each in records if each.record in new]
        outcomes = self._new_people.write(tx, import_record, people, numbers, at)
        # After the new people: whoever stands in the list twice is new at their first record.
        for record in records:
            if record.record in numbers.keys() - new:
                outcomes.append(
                    self._write_row(tx, import_record, record, at, record_consents=record_consents)
                )
                if given:
                    self._validate_given_number(tx, import_record, outcomes[-1], given, at)
            elif record.phone is None and record.record not in written:
                outcomes.append(build_outcome(record, ImportRowOutcome.REJECTED))
        imports.insert_import_rows(tx, import_record.id, outcomes)

    def _write_row(
        self,
        tx: Tx,
        import_record: ImportRecord,
        record: ParsedImportRow,
        at: datetime,
        *,
        record_consents: bool,
    ) -> ImportRowRecord:
        """Write a record whose contact or suppression may be stored already."""
        contact = contacts.resolve_contact(tx, self._aliases.from_phone(record.phone or ""), at)
        existing = prospects.find_prospect_by_contact(tx, contact)
        granted = record.permission
        if existing is None:
            outcome = self._write_new_prospect(tx, import_record, contact, record, at)
            # A list does not say when they agreed: it may have been before they refused.
            if _has_refused(tx, contact):
                granted = decide_known_permission(tx, contact, granted).granted
        else:
            outcome = _complete_prospect(tx, existing, record, at)
            # Of a person who is in the list twice the first record counts, whatever was ticked.
            may_raise = record_consents and existing.import_id != import_record.id
            granted = decide_known_permission(
                tx, contact, granted, record_consents=may_raise
            ).granted
        if record.fields and outcome.prospect:
            prospect_fields.insert_prospect_fields(tx, {outcome.prospect: record.fields})
        piece = build_permission_evidence(import_record, record, granted=granted, at=at)
        evidence.insert_evidence_pieces(tx, [(contact, piece)])
        self._scoring.refresh_prospect(
            tx,
            contact,
            at,
            reason_code="imported",
            sentence=build_import_sentence(import_record, record),
        )
        return outcome

    def _write_new_prospect(
        self,
        tx: Tx,
        import_record: ImportRecord,
        contact: str,
        record: ParsedImportRow,
        at: datetime,
    ) -> ImportRowRecord:
        """Store the first prospect of a contact that is known by messages or a suppression."""
        prospect = prospects.insert_prospect(
            tx, build_new_prospect(import_record, contact, record), at=at
        )
        return build_outcome(record, get_accepted_outcome(record.line_type), record.phone, prospect)

    def _validate_given_number(
        self, tx: Tx, import_record: ImportRecord, row: ImportRowRecord, given: str, at: datetime
    ) -> None:
        """Validate a number by the statement on its list, unless it is decided or failed before."""
        prospect = prospects.require_prospect(tx, row.prospect or "")
        known = evidence.list_contact_evidence(tx, prospect.contact)
        if (
            prospect.validation not in _UNDECIDED_STATES
            or prospect.line_type not in {*REACHABLE_LINE_TYPES, LineType.FIXED_LINE}
            or has_delivery_failed(prospect, known)
        ):
            return
        source = f"{import_record.filename}, record {row.record}, stated by {import_record.who}"
        self._transitions.apply_given_number(tx, prospect, source=source, quote=given, now=at)


def _find_new_people(tx: Tx, numbers: Mapping[int, Sequence[Alias]]) -> set[int]:
    """Return the records with a number of which nothing is stored, and that is in none before."""
    aliases = [alias for each in numbers.values() for alias in each]
    seen = contacts.find_known_aliases(tx, [alias.text for alias in aliases])
    suppressed = suppressions.find_suppressed_hashes(tx, [alias.hash for alias in aliases])
    new: set[int] = set()
    for record, own in numbers.items():
        texts = {alias.text for alias in own}
        if seen.isdisjoint(texts) and suppressed.isdisjoint(alias.hash for alias in own):
            new.add(record)
        seen |= texts
    return new


def _upgrade_phone(tx: Tx, existing: ProspectRecord, record: ParsedImportRow, at: datetime) -> str:
    """Replace a landline number by a mobile one of the same person; return the number in use."""
    if not is_better_number(existing, record):
        return existing.phone
    phone = record.phone or ""
    prospects.update_prospect(
        tx, existing.id, at=at, phone=phone, line_type=record.line_type, country=record.country
    )
    return phone


def _complete_prospect(
    tx: Tx, existing: ProspectRecord, record: ParsedImportRow, at: datetime
) -> ImportRowRecord:
    """Add what a duplicate knows more: a mobile number, e-mail, city; nothing is overwritten."""
    phone = _upgrade_phone(tx, existing, record, at)
    texts = {"email": record.email, "city": record.city}
    added = {name: texts[name] for name in list_gaps(existing, record) if name in texts}
    if added:
        prospects.update_prospect(tx, existing.id, at=at, **added)
    return build_outcome(record, ImportRowOutcome.DUPLICATE, phone, existing.id)


def _has_refused(reader: Reader, contact: str) -> bool:
    return find_last_refusal(evidence.list_contact_evidence(reader, contact)) is not None
