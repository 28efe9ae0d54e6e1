"""Turns parsed rows of an import into what is stored: prospect, evidence, outcome, sentence."""

from __future__ import annotations

from datetime import UTC, datetime, time

from daemon.api.numbers import REACHABLE_LINE_TYPES, LineType
from daemon.contacts.imports.options import ImportPermission
from daemon.contacts.imports.row_parser import ParsedImportRow
from storage.evidence import Evidence, EvidenceKind
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.prospects import NewProspectRecord


def get_accepted_outcome(line_type: str) -> ImportRowOutcome:
    """Return the outcome of a new prospect with a number of this line type."""
    if line_type in REACHABLE_LINE_TYPES:
        return ImportRowOutcome.ACCEPTED
    if line_type == LineType.FIXED_LINE:
        return ImportRowOutcome.ACCEPTED_FIXED_LINE
    return ImportRowOutcome.ACCEPTED_NOT_REACHABLE


def build_outcome(
    record: ParsedImportRow,
    outcome: ImportRowOutcome,
    phone: str | None = None,
    prospect: str | None = None,
) -> ImportRowRecord:
    """Return the outcome of a record, with its remark or the reason of its reject."""
    return ImportRowRecord(
        record.record, outcome, phone, prospect, record.reason_code, record.sentence
    )


def build_new_prospect(
    import_record: ImportRecord, contact: str, record: ParsedImportRow
) -> NewProspectRecord:
    """Return the prospect of a record with a number."""
    return NewProspectRecord(
        contact=contact,
        phone=record.phone or "",
        cartera_origen=record.cartera_origen or import_record.filename,
        line_type=record.line_type,
        country=record.country,
        name=record.name,
        trade=record.trade,
        notes=record.notes,
        email=record.email,
        city=record.city,
        data_date=datetime.combine(record.data_date, time(), UTC) if record.data_date else None,
        import_id=import_record.id,
        record=record.record,
    )


def build_permission_evidence(
    import_record: ImportRecord,
    record: ParsedImportRow,
    *,
    granted: ImportPermission,
    at: datetime,
) -> Evidence:
    """Return the evidence that a record gives on the permission to write."""
    refused = granted is ImportPermission.REFUSED
    source = f"{import_record.filename}, record {record.record}"
    # Where the list names no origin, the file is it.
    if record.cartera_origen not in {"", import_record.filename}:
        source += f", from {record.cartera_origen}"
    if granted is ImportPermission.OPTED_IN:
        source += f": {record.evidence}"
    return Evidence(
        EvidenceKind.DECLINED if refused else EvidenceKind.PERMISSION,
        granted.value,
        at,
        source=source,
        quote=record.permission_text,
    )


def build_import_sentence(import_record: ImportRecord, record: ParsedImportRow) -> str:
    """Return the sentence of the event for an imported prospect."""
    return f"Imported from {import_record.filename}, record {record.record}."
