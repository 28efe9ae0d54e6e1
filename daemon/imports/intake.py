"""Takes understood records into the database: who is new, who is there, what a duplicate adds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Final

from daemon.aliases import Aliases
from daemon.api.numbers import REACHABLE, LineType
from daemon.imports.options import ImportPermission
from daemon.imports.reading import ReadRecord
from daemon.scoring import Scoring
from storage import contacts, evidence, imports, prospects
from storage.evidence import EvidenceKind
from storage.imports import ImportRecord, ImportRowOutcome, ImportRowRecord
from storage.prospects import NewProspectRecord, ProspectRecord
from storage.tx import Reader, Tx

_BEST_FIRST: Final = (
    *(
        ImportPermission.OPTED_IN,
        ImportPermission.RELATIONSHIP,
        ImportPermission.PUBLIC_SOURCE,
        ImportPermission.NONE,
    ),
)


class Intake:
    """Decides, record by record and in file order, what becomes of it."""

    def __init__(self, aliases: Aliases, scoring: Scoring) -> None:
        self._aliases = aliases
        self._scoring = scoring

    def take(self, tx: Tx, into: ImportRecord, records: Sequence[ReadRecord], at: datetime) -> None:
        """Take these records in one transaction; one that was taken before is left as it is."""
        for record in records:
            if not imports.has_record(tx, into.id, record.record):
                imports.add_record(tx, into.id, self._take(tx, into, record, at))

    def outcome(self, reader: Reader, record: ReadRecord) -> ImportRowOutcome:
        """Foretell what would become of a record if it stood alone."""
        if record.phone is None:
            return ImportRowOutcome.REJECTED
        contact = contacts.of_alias(reader, record.phone)
        if contact is not None and prospects.of_contact(reader, contact) is not None:
            return ImportRowOutcome.DUPLICATE
        return accepted_as(record.line_type)

    def _take(
        self, tx: Tx, into: ImportRecord, record: ReadRecord, at: datetime
    ) -> ImportRowRecord:
        if record.phone is None:
            return _outcome(record, ImportRowOutcome.REJECTED)
        contact = contacts.resolve(tx, self._aliases.of_phone(record.phone), at)
        there = prospects.of_contact(tx, contact)
        if there is None:
            prospect = prospects.insert(tx, _new(into, contact, record), at=at)
            outcome = _outcome(record, accepted_as(record.line_type), record.phone, prospect)
            granted = record.permission
        else:
            outcome = _outcome(
                record, ImportRowOutcome.DUPLICATE, _better_phone(tx, there, record, at), there.id
            )
            granted = _not_above(record.permission, _on_record(tx, contact))
        _note_permission(tx, into, contact, record, granted=granted, at=at)
        self._scoring.refresh(
            tx,
            contact,
            at,
            reason_code="imported",
            sentence=f"Brought by {into.filename}, record {record.record}.",
        )
        return outcome


def accepted_as(line_type: str) -> ImportRowOutcome:
    """Return how a number of this kind is accepted."""
    if line_type in REACHABLE:
        return ImportRowOutcome.ACCEPTED
    if line_type == LineType.FIXED_LINE:
        return ImportRowOutcome.ACCEPTED_FIXED_LINE
    return ImportRowOutcome.ACCEPTED_NOT_REACHABLE


def _outcome(
    record: ReadRecord,
    outcome: ImportRowOutcome,
    phone: str | None = None,
    prospect: str | None = None,
) -> ImportRowRecord:
    return ImportRowRecord(
        record.record, outcome, phone, prospect, record.reason_code, record.sentence
    )


def _new(into: ImportRecord, contact: str, record: ReadRecord) -> NewProspectRecord:
    return NewProspectRecord(
        contact=contact,
        phone=record.phone or "",
        cartera_origen=record.cartera_origen or into.filename,
        line_type=record.line_type,
        country=record.country,
        name=record.name,
        trade=record.trade,
        notes=record.notes,
        data_date=datetime.combine(record.data_date, time(), UTC) if record.data_date else None,
        import_id=into.id,
        record=record.record,
    )


def _better_phone(tx: Tx, there: ProspectRecord, record: ReadRecord, at: datetime) -> str:
    """Return the prospect's number after a mobile form has taken the place of a landline form."""
    if there.line_type in REACHABLE or record.line_type not in REACHABLE or record.phone is None:
        return there.phone
    prospects.update(
        tx,
        there.id,
        at=at,
        phone=record.phone,
        line_type=record.line_type,
        country=record.country,
    )
    return record.phone


def _on_record(reader: Reader, contact: str) -> ImportPermission:
    """Return the best that lists have granted so far."""
    known = {
        each.value
        for each in evidence.of_contact(reader, contact)
        if each.kind is EvidenceKind.PERMISSION
    }
    return next((granted for granted in _BEST_FIRST if granted in known), ImportPermission.NONE)


def _not_above(said: ImportPermission, on_record: ImportPermission) -> ImportPermission:
    """Let a duplicate refuse or lower, never raise: it may be a worse copy of the same list."""
    if said is ImportPermission.REFUSED:
        return said
    return max(said, on_record, key=_BEST_FIRST.index)


def _note_permission(
    tx: Tx,
    into: ImportRecord,
    contact: str,
    record: ReadRecord,
    *,
    granted: ImportPermission,
    at: datetime,
) -> None:
    refused = granted is ImportPermission.REFUSED
    how = f": {record.evidence}" if granted is ImportPermission.OPTED_IN else ""
    evidence.add(
        tx,
        contact,
        EvidenceKind.REFUSAL if refused else EvidenceKind.PERMISSION,
        granted.value,
        at=at,
        source=f"{into.filename}, record {record.record}, from"
        f" {record.cartera_origen or into.filename}{how}",
        quote=record.said,
    )
