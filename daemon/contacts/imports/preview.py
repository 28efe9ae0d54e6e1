"""The preview of an import: what it would do, collected batch by batch while nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from daemon.contacts.imports.cell_readings import CellReading, read_cells
from daemon.contacts.imports.doubts import DoubtCounter, ImportDoubts
from daemon.contacts.imports.known_people import KnownPeople, KnownPeopleCounter
from daemon.contacts.imports.options import ImportPermission
from daemon.contacts.imports.process import ImportFileSummary, ImportReadRequest
from daemon.contacts.imports.report import EarlierImport
from daemon.contacts.imports.row_parser import ParsedImportRow, RowRemark
from daemon.contacts.imports.row_records import get_accepted_outcome
from daemon.lists.columns import PlannedColumn
from storage import contacts, prospects
from storage.imports import ImportRowOutcome
from storage.tx import Reader


class ImportRow(Struct, frozen=True):
    """One record of a file: its number there, its cells by header, and what each became.

    ``permission`` is what all of them give.
    """

    record: int
    cells: Mapping[str, str]
    readings: Sequence[CellReading] = ()
    line_type: str = ""
    permission: ImportPermission = ImportPermission.NONE


class PlannedRecord(Struct, frozen=True):
    """A record that is rejected or in doubt: its number, name and phone cell, and why."""

    record: int
    name: str
    cell: str
    remarks: Sequence[RowRemark]


class ImportPreview(Struct, frozen=True):
    """The expected result of an import. ``plan`` is the hash of what was previewed.

    ``mapping`` is from our column to the file's header.

    ``columns`` are all headers, each with its use; ``notices`` are sentences on the whole file;
    ``remarks`` counts the records with a remark, by its sentence; ``doubts`` are what the list
    leaves open, and a person can answer; ``same_file`` are earlier imports of the same bytes;
    ``known`` are the people who are here already; ``rejects`` and ``doubtful`` are the first
    hundred records that are left out, and that count with a remark or wait for an answer, of which
    there are ``in_doubt``; ``repeated`` records have the number of one before them.
    """

    plan: str
    form: str
    headers: Sequence[str]
    mapping: Mapping[str, str]
    rows: Sequence[ImportRow]
    total: int
    counts: Mapping[ImportRowOutcome, int]
    remarks: Mapping[str, int]
    columns: Sequence[PlannedColumn] = ()
    notices: Sequence[str] = ()
    doubts: ImportDoubts = field(default_factory=ImportDoubts)
    same_file: Sequence[EarlierImport] = ()
    known: KnownPeople = field(default_factory=KnownPeople)
    rejects: Sequence[PlannedRecord] = ()
    doubtful: Sequence[PlannedRecord] = ()
    in_doubt: int = 0
    repeated: int = 0


MAX_LISTED: Final = 100
"""The most rejects, and the most doubtful records, that a preview names."""
_MOBILE_OPEN: Final = RowRemark(
    "mobile_open",
    "The number has no 9; until somebody says that it is a mobile, it counts as a landline.",
)


class PreviewBuilder:
    """Collects the preview of one file, which its child process has opened."""

    def __init__(self, request: ImportReadRequest, summary: ImportFileSummary) -> None:
        self._summary = summary
        self._consent_words = request.consent_words | request.options.folded_consent_words
        self._doubts = DoubtCounter(request.region)
        self._counts = Counter(dict.fromkeys(ImportRowOutcome, 0))
        self._remarks: Counter[str] = Counter()
        self._known = KnownPeopleCounter()
        self._first = dict(summary.rows)
        self._rows: list[ImportRow] = []
        self._rejects: list[PlannedRecord] = []
        self._doubtful: list[PlannedRecord] = []
        self._in_doubt = self._repeated = 0

    def add(self, reader: Reader, records: Sequence[ParsedImportRow]) -> None:
        """Take the next records into the preview, in file order."""
        self._doubts.add(records)
        for record in records:
            self._remarks.update(remark.sentence for remark in record.remarks)
            self._counts[self._predict_outcome(reader, record)] += 1
            if record.record in self._first:
                self._rows.append(self._read_row(record))
            self._list_record(record)

    def build(self, plan: str, same_file: Sequence[EarlierImport]) -> ImportPreview:
        """Return the preview of all that was added. ``plan`` is the hash of what was read."""
        summary = self._summary
        return ImportPreview(
            plan=plan,
            form=summary.form,
            headers=summary.headers,
            mapping=summary.mapping,
            rows=tuple(self._rows),
            total=summary.total,
            counts=self._counts,
            remarks=self._remarks,
            columns=summary.columns,
            notices=summary.remarks,
            doubts=self._doubts.build(),
            same_file=same_file,
            known=self._known.build(),
            rejects=tuple(self._rejects),
            doubtful=tuple(self._doubtful),
            in_doubt=self._in_doubt,
            repeated=self._repeated,
        )

    def _read_row(self, record: ParsedImportRow) -> ImportRow:
        cells = self._first[record.record]
        readings = read_cells(self._summary.columns, cells, record, self._consent_words)
        return ImportRow(record.record, cells, readings, record.line_type, record.permission)

    def _list_record(self, record: ParsedImportRow) -> None:
        """Name a record that is rejected, or counts otherwise than its list may mean."""
        if record.phone is None:
            listed, remarks = self._rejects, (RowRemark(record.reason_code, record.sentence),)
        else:
            listed = self._doubtful
            remarks = (*((_MOBILE_OPEN,) if record.mobile_open else ()), *record.remarks)
            self._in_doubt += bool(remarks)
        if remarks and len(listed) < MAX_LISTED:
            listed.append(PlannedRecord(record.record, record.name, record.phone_text, remarks))

    def _predict_outcome(self, reader: Reader, record: ParsedImportRow) -> ImportRowOutcome:
        """Return the expected outcome of a record, which knows whether it repeats another."""
        if record.phone is None:
            return ImportRowOutcome.REJECTED
        self._repeated += record.repeats
        contact = contacts.find_contact_by_alias(reader, record.phone)
        existing = prospects.find_prospect_by_contact(reader, contact) if contact else None
        if existing is not None:
            self._known.add(reader, existing, record)
        if record.repeats or existing is not None:
            return ImportRowOutcome.DUPLICATE
        return get_accepted_outcome(record.line_type)
