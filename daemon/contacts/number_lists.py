"""Lists of numbers, such as opt-out lists and do-not-call registers: options, child, records.

A cell with two numbers means both, and every phone column of a record counts: a person who asked to
be left alone is left alone at each of their numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from daemon.api.imports import ImportSource, SourceOptions, SourceUnreadable, normalise_text
from daemon.contacts.list_options import ListOptions
from daemon.contacts.list_process import (
    MAX_LINE_BYTES,
    ListAnswer,
    ListProcess,
    ListProtocol,
    ListRefusal,
    RecordBatch,
    choose_source,
    serve_lists,
    split_batches,
)
from daemon.lists.columns import ColumnPlan, is_phone_header, plan_columns
from daemon.lists.phone_cells import PhoneCell, read_phone_cell
from daemon.lists.table import ListRecord, ListTable, open_table
from daemon.lists.vocabulary import ColumnUse, ListKind
from daemon.settings import Settings
from daemon.worker_protocol import SILENCE_SECONDS, WorkerProtocol, take_standard_streams

_SAMPLED_RECORDS: Final = 50
"""Of a list without headers: the column of the numbers is found by so many records."""
_HASH_HEADERS: Final = ("alias hash", "key", "source", "at")
"""Headers of our own export of suppressions, as far as no other list has them all."""


class NumberListOptions(ListOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a list of numbers; what is left out is found out."""

    phone: str | None = None
    """The header of the only column with numbers."""


class NumberListRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Request to read the numbers of a file."""

    path: str
    source: str
    kind: ListKind
    region: str
    phone: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    blocked: tuple[str, ...] = ()


class NumberListSummary(msgspec.Struct, frozen=True, tag="opened"):
    """The first answer: what the file is, which columns are read, and which are not."""

    form: str
    phones: tuple[str, ...]
    unused: tuple[str, ...]
    total: int
    remarks: tuple[str, ...] = ()


class SuppressionRow(msgspec.Struct, frozen=True):
    """What our own export says of a suppression, besides the alias itself."""

    alias_hash: str
    key: str
    source: str
    at: str


class NumberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers (E.164) and hidden ids of one record; a part that is no number has a reason.

    ``why`` is the cell of the column with reasons. ``exported`` is set where the list is our own
    export of suppressions.
    """

    number: int
    phones: tuple[str, ...] = ()
    hidden_ids: tuple[str, ...] = ()
    reason_code: str = ""
    sentence: str = ""
    why: str = ""
    exported: SuppressionRow | None = None


PROTOCOL: Final[ListProtocol[NumberListRequest, NumberListSummary, NumberRecord]] = WorkerProtocol(
    request=NumberListRequest,
    answer=NumberListSummary | RecordBatch[NumberRecord] | ListRefusal,
    max_line_bytes=MAX_LINE_BYTES,
)
WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.contacts.number_lists")


class NumberListProcess(ListProcess[NumberListRequest, NumberListSummary, NumberRecord]):
    """Reads lists of numbers in a child process."""

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        super().__init__(PROTOCOL, command, silence_seconds=silence_seconds)


def build_number_request(
    path: Path,
    options: NumberListOptions,
    kind: ListKind,
    sources: Mapping[str, ImportSource],
    settings: Settings,
) -> NumberListRequest:
    """Return the request to read a file. Raises ImportRejected where no source reads it."""
    return NumberListRequest(
        path=str(path.absolute()),
        source=choose_source(sources, path, options.source),
        kind=kind,
        region=options.region or settings.daemon.default_region,
        phone=options.phone,
        encoding=options.encoding,
        sheet=options.sheet,
        blocked=settings.plugins.blocked,
    )


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_lists(PROTOCOL, read_number_list, requests, answers)


def read_number_list(
    source: ImportSource, request: NumberListRequest
) -> Iterator[ListAnswer[NumberListSummary, NumberRecord]]:
    """Yield the summary and the records of a file. Raises :class:`SourceUnreadable`."""
    asked = SourceOptions(request.encoding, request.sheet, is_phone_header)
    named = [request.phone] if request.phone else []
    table = open_table(source.open(Path(request.path), asked), header_required=False, headers=named)
    plan = _plan_phones(table, request)
    # Read through once: an unreadable record refuses the file before anybody is suppressed by it.
    total = sum(1 for _ in table.records())
    yield NumberListSummary(
        table.form,
        tuple(column.header for column in plan.phones),
        plan.unused,
        total,
        table.remarks,
    )
    hash_headers = _find_hash_headers(table.headers)
    yield from split_batches(
        _read_record(record, plan, request.region, hash_headers) for record in table.records()
    )


def _plan_phones(table: ListTable, request: NumberListRequest) -> ColumnPlan:
    """Return the columns' uses, with at least one of numbers. Raises SourceUnreadable."""
    if request.phone is not None and request.phone not in table.headers:
        raise SourceUnreadable(
            f"The file has no header {request.phone!r}; it has: {', '.join(table.headers)}."
        )
    mapping = {ColumnUse.PHONE.value: request.phone} if request.phone else {}
    plan = plan_columns(table.headers, mapping, request.kind)
    if plan.phones:
        return plan
    found = _find_number_columns(table, request.region)
    if len(found) != 1:
        raise SourceUnreadable(
            "No header was recognised as the phone number; there are:"
            f" {', '.join(table.headers)}. Name it (--phone HEADER), or leave one column only."
        )
    return plan_columns(table.headers, {ColumnUse.PHONE.value: found[0]}, request.kind)


def _find_number_columns(table: ListTable, region: str) -> list[str]:
    """Return the headers of the columns with numbers; the only column, whatever is in it."""
    if len(table.headers) == 1:
        return list(table.headers)
    counts = dict.fromkeys(table.headers, 0)
    for _, record in zip(range(_SAMPLED_RECORDS), table.records(), strict=False):
        for header, cell in record.cells.items():
            read = read_phone_cell(cell, region)
            counts[header] += bool(read.numbers or read.hidden_ids)
    return [header for header, count in counts.items() if count]


def _find_hash_headers(headers: Sequence[str]) -> Mapping[str, str]:
    """Return the headers of our own export by their plain names; none for another list."""
    found = {normalise_text(header): header for header in headers}
    known = {str(name): found[name] for name in _HASH_HEADERS if name in found}
    return known if "alias hash" in known else {}


def _read_record(
    record: ListRecord, plan: ColumnPlan, region: str, hash_headers: Mapping[str, str]
) -> NumberRecord:
    if record.problem:
        return NumberRecord(number=record.number, reason_code="unreadable", sentence=record.problem)
    cells = [
        read_phone_cell(each.cell, region, says_mobile=bool(each.says_mobile))
        for each in plan.list_phones(record.cells)
    ]
    refused = next((cell for cell in cells if _is_refused(cell)), None)
    if not cells:
        refused = read_phone_cell("", region)
    exported = None
    if hash_headers:
        said = {name: record.cells[header].strip() for name, header in hash_headers.items()}
        exported = SuppressionRow(
            said["alias hash"], said.get("key", ""), said.get("source", ""), said.get("at", "")
        )
    return NumberRecord(
        number=record.number,
        phones=tuple(number.e164 for cell in cells for number in cell.numbers),
        hidden_ids=tuple(hidden for cell in cells for hidden in cell.hidden_ids),
        reason_code=refused.reason_code if refused else "",
        sentence=refused.sentence if refused else "",
        why=plan.get_cell(record.cells, ColumnUse.REASON),
        exported=exported,
    )


def _is_refused(cell: PhoneCell) -> bool:
    """Return whether a part of a cell was not read; that a hidden id has no number is no fault."""
    return bool(cell.reason_code) and not (cell.hidden_ids and cell.reason_code == "hidden_id")


if __name__ == "__main__":
    main(*take_standard_streams())
