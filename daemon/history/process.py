"""The child process that reads a history: its messages, and how it reads a file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec.structs import replace

from daemon.api.imports import ImportSource, SourceOptions
from daemon.contacts.list_process import (
    MAX_LINE_BYTES,
    ListAnswer,
    ListProcess,
    ListProtocol,
    ListRefusal,
    RecordBatch,
    serve_lists,
    split_batches,
)
from daemon.history.line_parser import HistoryLine, LineParser, add_findings
from daemon.history.options import HistoryOptions, load_zone
from daemon.inbound.contact_requests import load_contact_request_reader
from daemon.lists.columns import ColumnPlan, PlannedColumn, is_phone_header
from daemon.lists.dates import DateColumn, read_date_column
from daemon.lists.table import ListTable, open_table
from daemon.lists.vocabulary import ColumnUse
from daemon.worker_protocol import SILENCE_SECONDS, WorkerProtocol, take_standard_streams
from storage.history import HistoryKind

MAX_SHOWN_REJECTS: Final = 100
_MAX_WORDS: Final = 50


class HistoryReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Request to open a file, plan its columns and parse every record."""

    path: str
    source: str
    options: HistoryOptions
    region: str
    time_zone: str
    today: date
    phrases_file: str = ""
    blocked: tuple[str, ...] = ()


class UnknownHistoryWord(msgspec.Struct, frozen=True):
    """A word on what a line is that the table does not know, with its records."""

    word: str
    count: int


class RejectedHistoryRecord(msgspec.Struct, frozen=True):
    """A record that can't be read: its number in the file, and the reason."""

    record: int
    reason_code: str
    sentence: str


class HistoryFileSummary(msgspec.Struct, frozen=True, tag="opened"):
    """The first answer: what the file is, and what can't be read of it.

    ``rejects`` are the first of the ``rejected`` records; ``open_dates`` counts dates whose day and
    month look alike, with the first of them; ``remarks`` are sentences on the whole file.
    """

    form: str
    columns: tuple[PlannedColumn, ...]
    total: int
    kinds: dict[HistoryKind, int]
    rejected: int
    rejects: tuple[RejectedHistoryRecord, ...]
    unknown_words: tuple[UnknownHistoryWord, ...]
    open_dates: int
    date_examples: tuple[str, ...]
    remarks: tuple[str, ...]


PROTOCOL: Final[ListProtocol[HistoryReadRequest, HistoryFileSummary, HistoryLine]] = WorkerProtocol(
    request=HistoryReadRequest,
    answer=HistoryFileSummary | RecordBatch[HistoryLine] | ListRefusal,
    max_line_bytes=MAX_LINE_BYTES,
)
WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.history.process")


class HistoryProcess(ListProcess[HistoryReadRequest, HistoryFileSummary, HistoryLine]):
    """Reads histories in a child process."""

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        super().__init__(PROTOCOL, command, silence_seconds=silence_seconds)


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_lists(PROTOCOL, read_history, requests, answers)


def read_history(
    source: ImportSource, request: HistoryReadRequest
) -> Iterator[ListAnswer[HistoryFileSummary, HistoryLine]]:
    """Yield the summary and the lines of a file. Raises what the import source raises."""
    options = request.options
    asked = SourceOptions(options.encoding, options.sheet, is_phone_header)
    table = open_table(
        source.open(Path(request.path), asked),
        header_required=True,
        headers=[*options.mapping.values()],
    )
    plan = options.plan_columns(table.headers)
    dates = read_date_column(
        plan.get_cell(record.cells, ColumnUse.WRITTEN_AT) for record in table.records()
    )
    parser = LineParser(
        plan=plan,
        region=request.region,
        zone=load_zone(request.time_zone),
        today=request.today,
        default_kind=options.kind,
        words=options.folded_words,
        date_order=dates.order or options.date_order,
    )
    # Parsed whole before the first line is handed over: a refused file changes nothing.
    yield _survey(table, plan, parser, dates)
    reader = load_contact_request_reader(
        Path(request.phrases_file) if request.phrases_file else None
    )
    lines = map(replace(parser, unknown_words=Counter()).parse, table.records())
    yield from split_batches(map(partial(add_findings, reader=reader), lines))


def _survey(
    table: ListTable, plan: ColumnPlan, parser: LineParser, dates: DateColumn
) -> HistoryFileSummary:
    kinds = Counter(dict.fromkeys(HistoryKind, 0))
    rejects: list[RejectedHistoryRecord] = []
    total = rejected = 0
    for line in map(parser.parse, table.records()):
        total += 1
        if not line.reason_code:
            kinds[line.kind] += 1
            continue
        rejected += 1
        if len(rejects) < MAX_SHOWN_REJECTS:
            rejects.append(RejectedHistoryRecord(line.number, line.reason_code, line.sentence))
    words = parser.unknown_words.most_common(_MAX_WORDS)
    is_open = parser.date_order is None
    return HistoryFileSummary(
        form=table.form,
        columns=plan.columns,
        total=total,
        kinds=dict(kinds),
        rejected=rejected,
        rejects=tuple(rejects),
        unknown_words=tuple(UnknownHistoryWord(word, count) for word, count in words),
        open_dates=dates.open if is_open else 0,
        date_examples=dates.examples if is_open else (),
        remarks=table.remarks,
    )


if __name__ == "__main__":
    main(*take_standard_streams())
