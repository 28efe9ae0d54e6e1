"""The child process that reads an import file: messages, parent side and child side.

A child, so that a bad file can't harm the daemon. ``python -m daemon.contacts.imports.process``
uses the protocol of :mod:`daemon.worker_protocol`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Never, TypeAlias

import msgspec
import structlog

from daemon import subprocesses
from daemon.api.imports import ImportSource, SourceOptions, SourceUnreadable
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.row_parser import ParsedImportRow, RowParser
from daemon.errors import ImportRejected, LeadMasterError
from daemon.lists.columns import ColumnPlan, PlannedColumn, is_phone_header
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import read_date_column
from daemon.lists.table import open_table
from daemon.lists.vocabulary import ColumnUse
from daemon.plugin_manager import Plugins
from daemon.worker_protocol import (
    SILENCE_SECONDS,
    FrameWriter,
    WorkerFailed,
    WorkerProtocol,
    ask_worker,
    describe_defect,
    serve_requests,
    take_standard_streams,
)

log = structlog.get_logger("imports")

BATCH_SIZE: Final = 500
"""The most records in one message of the protocol."""


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


class ImportRowBatch(msgspec.Struct, frozen=True, tag="batch"):
    """The next records, in file order."""

    records: tuple[ParsedImportRow, ...]


class ImportFileRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """The reason why the file can't be imported."""

    sentence: str
    hint: str = ""
    detail: str = ""
    """For the log: the defect and its location, where an import source failed."""


ImportReadAnswer: TypeAlias = ImportFileSummary | ImportRowBatch | ImportFileRefusal
PROTOCOL: Final[WorkerProtocol[ImportReadRequest, ImportReadAnswer, Never, Never]] = WorkerProtocol(
    request=ImportReadRequest,
    answer=ImportReadAnswer,
    max_line_bytes=64 * 2**20,  # a full batch of the longest cells stays below
)
WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.contacts.imports.process")
PREVIEW_ROWS: Final = 5
STALL_SECONDS: Final = 600.0
"""The longest time between two answers, in seconds. A large file is read twice before the first."""


class ImportProcess:
    """Reads import files in a child process."""

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._command = command
        self._silence_seconds = silence_seconds

    @contextlib.asynccontextmanager
    async def open_file(self, request: ImportReadRequest) -> AsyncIterator[OpenedImportFile]:
        """Yield the file as the child reads it; the child has ended when the block ends.

        Raises :class:`ImportRejected`, here or while batches are read, where the file is refused,
        and where the child ends, stalls or breaks the protocol before all records have arrived.
        """
        async with (
            subprocesses.run_worker(self._command, PROTOCOL.max_line_bytes) as child,
            contextlib.aclosing(self._read_answers(child, request)) as answers,
        ):
            opened = await anext(answers, None)
            if not isinstance(opened, ImportFileSummary):
                raise _process_failure("did not say what it found")
            yield OpenedImportFile(opened, _read_batches(answers, opened.total))

    async def _read_answers(
        self, child: subprocesses.WorkerProcess, request: ImportReadRequest
    ) -> AsyncGenerator[ImportFileSummary | ImportRowBatch, None]:
        """Yield the child's answers. Raises ImportRejected for a refusal or a failed child."""
        asked = ask_worker(
            PROTOCOL,
            child,
            request,
            silence_seconds=self._silence_seconds,
            stall_seconds=STALL_SECONDS,
        )
        try:
            async with contextlib.aclosing(asked) as said:
                async for message in said:
                    if isinstance(message.body, ImportFileRefusal):
                        if message.body.detail:
                            log.error("import_source_failed", detail=message.body.detail)
                        raise ImportRejected(message.body.sentence, hint=message.body.hint)
                    yield message.body
        except WorkerFailed as failure:
            log.error("import_process_failed", failure=str(failure), detail=failure.detail)
            raise _process_failure(str(failure)) from None


async def _read_batches(
    answers: AsyncIterator[ImportFileSummary | ImportRowBatch], total: int
) -> AsyncIterator[Sequence[ParsedImportRow]]:
    done = 0
    async for answer in answers:
        if not isinstance(answer, ImportRowBatch):
            raise _process_failure("said twice what it found")
        done += len(answer.records)
        yield answer.records
    # A child that ended early must not make an import that looks complete.
    if done != total:
        raise _process_failure(f"found {total} records and handed over {done}")


class OpenedImportFile:
    """A file that the child has opened: its summary, and batches of its records in file order."""

    def __init__(
        self, summary: ImportFileSummary, batches: AsyncIterator[Sequence[ParsedImportRow]]
    ) -> None:
        self.summary = summary
        self.batches = batches


def _process_failure(what: str) -> ImportRejected:
    return ImportRejected(
        f"The process that reads the file {what}.",
        hint="Nothing is lost: import the same file again, and it continues where it stopped.",
    )


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests in the frames of the protocol."""
    serve_requests(PROTOCOL, _send_answers, requests, answers)


def _send_answers(
    request: ImportReadRequest,
    writer: FrameWriter[ImportReadAnswer, Never, Never],
) -> None:
    for answer in answer_import(request):
        writer.send_answer(answer)


def answer_import(request: ImportReadRequest) -> Iterator[ImportReadAnswer]:
    """Yield the summary and the batches of a file, or at last a refusal (in the child)."""
    plugins = Plugins()
    try:
        plugins.load(blocked=request.blocked)
        yield from _read_file(plugins.sources()[request.source], request)
    except SourceUnreadable as problem:
        yield ImportFileRefusal(str(problem))
    except LeadMasterError as problem:
        yield ImportFileRefusal(str(problem), problem.hint)
    except Exception as defect:  # noqa: BLE001 - a plugin's source may raise anything
        yield ImportFileRefusal(
            f"The import source {request.source!r} failed while it read the file;"
            " the log says where.",
            "Fix or replace the plugin that provides it.",
            describe_defect(defect),
        )


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
            first.append((record.number, dict(record.cells)))
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
    rows = table.records()
    while batch := tuple(parser.parse(row) for row in islice(rows, BATCH_SIZE)):
        yield ImportRowBatch(batch)


def _remark_on_columns(plan: ColumnPlan) -> Iterator[str]:
    """Yield a sentence for each column that is read otherwise than it was mapped."""
    for header in plan.inverted:
        yield (
            f"A yes in «{header}» means no: who has one there counts as refused, and a no there"
            " gives no permission."
        )


if __name__ == "__main__":
    main(*take_standard_streams())
