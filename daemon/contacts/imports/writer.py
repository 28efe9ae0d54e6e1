"""Writes parsed rows to the database: as new prospects, duplicates or rejects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from daemon.api.numbers import REACHABLE_LINE_TYPES, LineType
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports.new_people import NewPeopleWriter
from daemon.contacts.imports.options import ImportPermission
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
from storage.evidence import EvidenceKind
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx

_UNDECIDED_STATES: Final = CHECKABLE_STATES | {ValidationState.CHECKING}
_PERMISSIONS_BEST_FIRST: Final = (
    *(
        ImportPermission.OPTED_IN,
        ImportPermission.RELATIONSHIP,
        ImportPermission.PUBLIC_SOURCE,
        ImportPermission.NONE,
    ),
)


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
    ) -> None:
        """Write these records in this transaction; one that was written before is left alone.

        ``given`` states where and how the numbers were given as WhatsApp; empty without one.
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
                outcomes.append(self._write_row(tx, import_record, record, at))
                if given:
                    self._validate_given_number(tx, import_record, outcomes[-1], given, at)
            elif record.phone is None and record.record not in written:
                outcomes.append(build_outcome(record, ImportRowOutcome.REJECTED))
        imports.insert_import_rows(tx, import_record.id, outcomes)

    def predict_outcome(self, reader: Reader, record: ParsedImportRow) -> ImportRowOutcome:
        """Return the expected outcome of a record, without the other records of its file."""
        if record.phone is None:
            return ImportRowOutcome.REJECTED
        contact = contacts.find_contact_by_alias(reader, record.phone)
        if contact is not None and prospects.find_prospect_by_contact(reader, contact) is not None:
            return ImportRowOutcome.DUPLICATE
        return get_accepted_outcome(record.line_type)

    def _write_row(
        self, tx: Tx, import_record: ImportRecord, record: ParsedImportRow, at: datetime
    ) -> ImportRowRecord:
        """Write a record whose contact or suppression may be stored already."""
        contact = contacts.resolve_contact(tx, self._aliases.from_phone(record.phone or ""), at)
        existing = prospects.find_prospect_by_contact(tx, contact)
        if existing is None:
            prospect = prospects.insert_prospect(
                tx, build_new_prospect(import_record, contact, record), at=at
            )
            outcome = build_outcome(
                record, get_accepted_outcome(record.line_type), record.phone, prospect
            )
            # A list does not say when they agreed: it may have been before they refused.
            limited = _has_refused(tx, contact)
        else:
            outcome = build_outcome(
                record,
                ImportRowOutcome.DUPLICATE,
                _upgrade_phone(tx, existing, record, at),
                existing.id,
            )
            _fill_gaps(tx, existing, record, at)
            limited = True
        if record.fields and outcome.prospect:
            prospect_fields.insert_prospect_fields(tx, {outcome.prospect: record.fields})
        granted = record.permission
        if limited:
            granted = _limit_permission(granted, _get_recorded_permission(tx, contact))
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
    if (
        existing.line_type in REACHABLE_LINE_TYPES
        or record.line_type not in REACHABLE_LINE_TYPES
        or record.phone is None
    ):
        return existing.phone
    prospects.update_prospect(
        tx,
        existing.id,
        at=at,
        phone=record.phone,
        line_type=record.line_type,
        country=record.country,
    )
    return record.phone


def _fill_gaps(tx: Tx, existing: ProspectRecord, record: ParsedImportRow, at: datetime) -> None:
    """Add e-mail and city where the prospect has none; what is known is never overwritten."""
    known = {"email": existing.email, "city": existing.city}
    added = {name: getattr(record, name) for name, value in known.items() if not value}
    if any(added.values()):
        prospects.update_prospect(tx, existing.id, at=at, **added)


def _get_recorded_permission(reader: Reader, contact: str) -> ImportPermission:
    """Return the best permission on record from lists, of those later than the last refusal."""
    pieces = evidence.drop_withdrawn(evidence.list_contact_evidence(reader, contact))
    refusal = find_last_refusal(pieces)
    known = {
        each.value
        for each in pieces
        if each.kind is EvidenceKind.PERMISSION and (refusal is None or each.at > refusal.at)
    }
    return next(
        (granted for granted in _PERMISSIONS_BEST_FIRST if granted in known), ImportPermission.NONE
    )


def _has_refused(reader: Reader, contact: str) -> bool:
    return find_last_refusal(evidence.list_contact_evidence(reader, contact)) is not None


def _limit_permission(claimed: ImportPermission, recorded: ImportPermission) -> ImportPermission:
    """Return the permission of a duplicate: never better than the recorded one."""
    # A duplicate may be a careless copy of the same list; a refusal in it always counts.
    if claimed is ImportPermission.REFUSED:
        return claimed
    return max(claimed, recorded, key=_PERMISSIONS_BEST_FIRST.index)
