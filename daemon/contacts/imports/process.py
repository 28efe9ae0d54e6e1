"""The child process that reads a list of prospects: its messages, and how it reads a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import msgspec

from daemon.api.imports import ImportSource, SourceOptions
from daemon.api.numbers import list_phone_spellings
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.row_parser import ParsedImportRow, RowParser
from daemon.contacts.list_process import (
    MAX_LINE_BYTES,
    ListAnswer,
    ListProcess,
    ListProtocol,
    ListRefusal,
    RecordBatch,
    answer_request,
    serve_lists,
    split_batches,
)
from daemon.lists.columns import ColumnPlan, PlannedColumn, is_phone_header
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import read_date_column
from daemon.lists.table import open_table
from daemon.lists.vocabulary import ColumnUse
from daemon.worker_protocol import SILENCE_SECONDS, WorkerProtocol, take_standard_streams


class ImportReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Request to open a file, map its columns and parse every record."""

    path: str
    source: str
    options: ImportOptions
    region: str
    today: date
    blocked: tuple[str, ...] = ()
    consent_words: dict[str, ConsentAnswer] = {}
    """What people said of words on consent in earlier lists, by the folded word."""


class ImportFileSummary(msgspec.Struct, frozen=True, tag="opened"):
    """The first answer: what the file is. ``rows`` are the cells of its first records.

    ``columns`` are all headers with their use; ``remarks`` are sentences on the whole file.
    """

    form: str
    headers: tuple[str, ...]
    mapping: dict[str, str]
    rows: tuple[tuple[int, dict[str, str]], ...]
    total: int
    columns: tuple[PlannedColumn, ...] = ()
    remarks: tuple[str, ...] = ()


ImportReadAnswer: TypeAlias = ListAnswer[ImportFileSummary, ParsedImportRow]
PROTOCOL: Final[ListProtocol[ImportReadRequest, ImportFileSummary, ParsedImportRow]] = (
    WorkerProtocol(
        request=ImportReadRequest,
        answer=ImportFileSummary | RecordBatch[ParsedImportRow] | ListRefusal,
        max_line_bytes=MAX_LINE_BYTES,
    )
)
WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.contacts.imports.process")
PREVIEW_ROWS: Final = 5
_SHOWN_CHARACTERS: Final = 200
"""Of each cell of the first records: the preview shows no more."""


class ImportProcess(ListProcess[ImportReadRequest, ImportFileSummary, ParsedImportRow]):
    """Reads lists of prospects in a child process."""

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        super().__init__(PROTOCOL, command, silence_seconds=silence_seconds)


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_lists(PROTOCOL, _read_file, requests, answers)


def answer_import(request: ImportReadRequest) -> Iterator[ImportReadAnswer]:
    """Yield the summary and the batches of a file, or at last a refusal (in the child)."""
    yield from answer_request(request, _read_file)


def _read_file(source: ImportSource, request: ImportReadRequest) -> Iterator[ImportReadAnswer]:
    """Yield the summary and the batches of a file. Raises what the import source raises."""
    options = request.options
    asked = SourceOptions(options.encoding, options.sheet, is_phone_header)
    table = open_table(
        source.open(Path(request.path), asked),
        header_required=True,
        headers=[*options.mapping.values()],
    )
    plan = options.plan_columns(table.headers)
    first: list[tuple[int, dict[str, str]]] = []
    dates: set[str] = set()
    total = 0
    # Read through once to count, so that an unreadable record is found before anything is written.
    for total, record in enumerate(table.records(), 1):  # noqa: B007 - the last one is the count
        if len(first) < PREVIEW_ROWS:
            cells = {name: cell[:_SHOWN_CHARACTERS] for name, cell in record.cells.items()}
            first.append((record.number, cells))
        dates.add(plan.get_cell(record.cells, ColumnUse.DATA_DATE))
    yield ImportFileSummary(
        table.form,
        table.headers,
        plan.mapping,
        tuple(first),
        total,
        plan.columns,
        (*table.remarks, *_remark_on_columns(plan)),
    )
    parser = RowParser(
        plan,
        options,
        region=request.region,
        today=request.today,
        date_order=read_date_column(dates).order or options.date_order,
        consent_words=request.consent_words | options.folded_consent_words,
    )
    yield from split_batches(_mark_repeats(map(parser.parse, table.records())))


def _mark_repeats(records: Iterable[ParsedImportRow]) -> Iterator[ParsedImportRow]:
    """Yield the records, those marked whose line an earlier one has, in whatever spelling."""
    # Here, because this process ends with the list: the daemon keeps nothing for each number.
    lines: set[int] = set()
    for record in records:
        if record.phone is None:
            yield record
            continue
        line = int(min(list_phone_spellings(record.phone)))
        yield msgspec.structs.replace(record, repeats=True) if line in lines else record
        lines.add(line)


def _remark_on_columns(plan: ColumnPlan) -> Iterator[str]:
    """Yield a sentence for each column that is read otherwise than it was mapped."""
    for header in plan.inverted:
        yield (
            f"A yes in «{header}» means no: who has one there counts as refused, and a no there"
            " gives no permission."
        )


if __name__ == "__main__":
    main(*take_standard_streams())
