"""The child process that reads an import file: messages, parent side and child side.

A bad file can't hurt the daemon. ``python -m daemon.contacts.imports.process`` takes one request
line and answers on the standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import msgspec

from daemon import subprocesses
from daemon.api.imports import ImportSource, SourceUnreadable
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.row_parser import ParsedImportRow, parse_row
from daemon.errors import ImportRejected, LeadMasterError
from daemon.plugin_manager import Plugins

BATCH_SIZE: Final = 500
"""Records in one line, at most."""


class ImportReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do: open, map, read and understand every record of a file."""

    path: str
    source: str
    options: ImportOptions
    region: str
    today: date
    blocked: tuple[str, ...] = ()


class ImportFileSummary(msgspec.Struct, frozen=True, tag="opened"):
    """The file was opened and read through once; ``rows`` are its first records' cells."""

    form: str
    headers: tuple[str, ...]
    mapping: dict[str, str]
    rows: tuple[tuple[int, dict[str, str]], ...]
    total: int


class ImportRowBatch(msgspec.Struct, frozen=True, tag="batch"):
    """The next records, in file order."""

    records: tuple[ParsedImportRow, ...]


class ImportFileEnd(msgspec.Struct, frozen=True, tag="ended"):
    """All records were handed over. Without this line an import is not finished."""

    total: int


class ImportFileRefusal(msgspec.Struct, frozen=True, tag="refused"):
    """The file can't be imported, and why."""

    sentence: str
    hint: str = ""


ImportReadAnswer: TypeAlias = ImportFileSummary | ImportRowBatch | ImportFileEnd | ImportFileRefusal


def encode_message(message: ImportReadRequest | ImportReadAnswer) -> bytes:
    """Return one line, with its end."""
    return msgspec.json.encode(message) + b"\n"


def decode_request(line: bytes) -> ImportReadRequest:
    """Return the request in a line; raise msgspec.MsgspecError for anything else."""
    return msgspec.json.decode(line, type=ImportReadRequest)


def decode_answer(line: bytes) -> ImportReadAnswer:
    """Return the answer in a line; raise msgspec.MsgspecError for anything else."""
    answer: ImportReadAnswer = msgspec.json.decode(line, type=ImportReadAnswer)
    return answer


WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.contacts.imports.process")
SILENCE_SECONDS: Final = 120.0
"""Between two answers; real seconds, because the child is a process of the real machine."""
_MAX_LINE_BYTES: Final = 64 * 2**20  # a full batch of the longest cells stays below


class ImportProcess:
    """A way to read a file outside the daemon, so that a bad file can't hurt it."""

    def __init__(
        self, command: Sequence[str] = WORKER_COMMAND, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._command = command
        self._silence = silence_seconds

    @contextlib.asynccontextmanager
    async def open_file(self, request: ImportReadRequest) -> AsyncIterator[OpenedImportFile]:
        """Lend what the child reads; the child is gone when the block ends.

        Raises :class:`ImportRejected`, here or while it reads on, where the file is refused, and
        where the child ends, falls silent or talks nonsense before it has handed all over.
        """
        async with subprocesses.run_worker(self._command, _MAX_LINE_BYTES) as child:
            await child.send_request(encode_message(request))
            opened = await self._read_answer(child)
            if not isinstance(opened, ImportFileSummary):
                raise _process_failure("did not say what it found")
            yield OpenedImportFile(opened, self._read_batches(child, opened.total))

    async def _read_batches(
        self, child: subprocesses.WorkerProcess, total: int
    ) -> AsyncIterator[Sequence[ParsedImportRow]]:
        done = 0
        while isinstance(answer := await self._read_answer(child), ImportRowBatch):
            done += len(answer.records)
            yield answer.records
        if done != total:
            raise _process_failure(f"found {total} records and handed over {done}")

    async def _read_answer(self, child: subprocesses.WorkerProcess) -> ImportReadAnswer:
        """Return the next answer; the child's refusal is raised."""
        try:
            async with asyncio.timeout(self._silence):
                line = await child.read_line()
        except TimeoutError:
            raise _process_failure(f"said nothing for {self._silence:g} s") from None
        if not line.endswith(b"\n"):
            raise _process_failure("ended before the file was read to its end")
        try:
            answer = decode_answer(line)
        except msgspec.MsgspecError:
            raise _process_failure("answered something that is no answer") from None
        if isinstance(answer, ImportFileRefusal):
            raise ImportRejected(answer.sentence, hint=answer.hint)
        return answer


class OpenedImportFile:
    """A file that the child has opened: what it is, and its records in file order, once."""

    def __init__(
        self, summary: ImportFileSummary, batches: AsyncIterator[Sequence[ParsedImportRow]]
    ) -> None:
        self.summary = summary
        self.batches = batches


def _process_failure(what: str) -> ImportRejected:
    return ImportRejected(
        f"The process that reads the file {what}.",
        hint="Nothing is lost: import the same file again and it goes on where it stopped.",
    )


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer the one request, line by line."""
    for answer in answer_import(decode_request(requests.readline())):
        answers.write(encode_message(answer))
        answers.flush()


def answer_import(request: ImportReadRequest) -> Iterator[ImportReadAnswer]:
    """Yield what was found in the file; an expected problem is the last answer."""
    plugins = Plugins()
    try:
        plugins.load(blocked=request.blocked)
        yield from _read_file(plugins.sources()[request.source], request)
    except SourceUnreadable as problem:
        yield ImportFileRefusal(str(problem))
    except LeadMasterError as problem:
        yield ImportFileRefusal(str(problem), problem.hint)
    except Exception as defect:  # noqa: BLE001 - a stranger's source may raise anything
        yield ImportFileRefusal(
            f"The import source {request.source!r} failed: {type(defect).__name__}.",
            "Mend or replace the plugin that brings it.",
        )


def _read_file(source: ImportSource, request: ImportReadRequest) -> Iterator[ImportReadAnswer]:
    """Read the file twice: an unreadable record is found before anything is imported."""
    path = Path(request.path)
    preview = source.open(path).preview()
    headers = tuple(preview.headers)
    mapping = request.options.resolve_mapping(headers, preview.mapping)
    total = sum(1 for _ in source.open(path).rows())
    first = tuple((row.record, dict(row.cells)) for row in preview.rows)
    yield ImportFileSummary(preview.form, headers, mapping, first, total)
    rows = iter(source.open(path).rows())
    while batch := tuple(
        parse_row(row, mapping, request.options, region=request.region, today=request.today)
        for row in islice(rows, BATCH_SIZE)
    ):
        yield ImportRowBatch(batch)
    yield ImportFileEnd(total)


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
