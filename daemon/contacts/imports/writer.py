"""Writes parsed rows to the database: as new prospects, duplicates or rejects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Final

from daemon.api.numbers import REACHABLE_LINE_TYPES, LineType
from daemon.contacts.aliases import Aliases
from daemon.contacts.imports.options import ImportPermission
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.validation_transitions import ValidationTransitions, has_delivery_failed
from daemon.gate.consent import find_last_refusal
from daemon.gate.scoring import Scoring
from statemachines.prospect import CHECKABLE_STATES, ValidationState
from storage import contacts, evidence, imports, prospects
from storage.evidence import EvidenceKind
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.prospects import NewProspectRecord, ProspectRecord
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
        for record in records:
            # An import that was cut short starts at its first record again.
            if not imports.has_import_row(tx, import_record.id, record.record):
                outcome = self._write_row(tx, import_record, record, at)
                imports.insert_import_row(tx, import_record.id, outcome)
                if given and outcome.prospect:
                    self._validate_given_number(tx, import_record, outcome, given, at)

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
        if record.phone is None:
            return _build_outcome(record, ImportRowOutcome.REJECTED)
        contact = contacts.resolve_contact(tx, self._aliases.from_phone(record.phone), at)
        existing = prospects.find_prospect_by_contact(tx, contact)
        if existing is None:
            prospect = prospects.insert_prospect(
                tx, _build_prospect(import_record, contact, record), at=at
            )
            outcome = _build_outcome(
                record, get_accepted_outcome(record.line_type), record.phone, prospect
            )
            # A list does not say when they agreed: it may have been before they refused.
            limited = _has_refused(tx, contact)
        else:
            outcome = _build_outcome(
                record,
                ImportRowOutcome.DUPLICATE,
                _upgrade_phone(tx, existing, record, at),
                existing.id,
            )
            limited = True
        granted = record.permission
        if limited:
            granted = _limit_permission(granted, _get_recorded_permission(tx, contact))
        _add_permission_evidence(tx, import_record, contact, record, granted=granted, at=at)
        self._scoring.refresh_prospect(
            tx,
            contact,
            at,
            reason_code="imported",
            sentence=f"Imported from {import_record.filename}, record {record.record}.",
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


def get_accepted_outcome(line_type: str) -> ImportRowOutcome:
    """Return the outcome of a new prospect with a number of this line type."""
    if line_type in REACHABLE_LINE_TYPES:
        return ImportRowOutcome.ACCEPTED
    if line_type == LineType.FIXED_LINE:
        return ImportRowOutcome.ACCEPTED_FIXED_LINE
    return ImportRowOutcome.ACCEPTED_NOT_REACHABLE


def _build_outcome(
    record: ParsedImportRow,
    outcome: ImportRowOutcome,
    phone: str | None = None,
    prospect: str | None = None,
) -> ImportRowRecord:
    return ImportRowRecord(
        record.record, outcome, phone, prospect, record.reason_code, record.sentence
    )


def _build_prospect(
    import_record: ImportRecord, contact: str, record: ParsedImportRow
) -> NewProspectRecord:
    return NewProspectRecord(
        contact=contact,
        phone=record.phone or "",
        cartera_origen=record.cartera_origen or import_record.filename,
        line_type=record.line_type,
        country=record.country,
        name=record.name,
        trade=record.trade,
        notes=record.notes,
        data_date=datetime.combine(record.data_date, time(), UTC) if record.data_date else None,
        import_id=import_record.id,
        record=record.record,
    )


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


def _add_permission_evidence(
    tx: Tx,
    import_record: ImportRecord,
    contact: str,
    record: ParsedImportRow,
    *,
    granted: ImportPermission,
    at: datetime,
) -> None:
    refused = granted is ImportPermission.REFUSED
    statement = f": {record.evidence}" if granted is ImportPermission.OPTED_IN else ""
    evidence.insert_evidence(
        tx,
        contact,
        EvidenceKind.DECLINED if refused else EvidenceKind.PERMISSION,
        granted.value,
        at=at,
        source=f"{import_record.filename}, record {record.record}, from"
        f" {record.cartera_origen or import_record.filename}{statement}",
        quote=record.permission_text,
    )
