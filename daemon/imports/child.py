"""Runs an import's child process: what it read, batch by batch; its crash or silence a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from daemon import children
from daemon.errors import ImportRejected
from daemon.imports import lines
from daemon.imports.reading import ParsedImportRow

WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.imports.worker")
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
    async def open_file(self, request: lines.ImportReadRequest) -> AsyncIterator[OpenedImportFile]:
        """Lend what the child reads; the child is gone when the block ends.

        Raises :class:`ImportRejected`, here or while it reads on, where the file is refused, and
        where the child ends, falls silent or talks nonsense before it has handed all over.
        """
        async with children.run_worker(self._command, _MAX_LINE_BYTES) as child:
            await child.send_request(lines.encode_message(request))
            opened = await self._read_answer(child)
            if not isinstance(opened, lines.ImportFileSummary):
                raise _process_failure("did not say what it found")
            yield OpenedImportFile(opened, self._read_batches(child, opened.total))

    async def _read_batches(
        self, child: children.WorkerProcess, total: int
    ) -> AsyncIterator[Sequence[ParsedImportRow]]:
        done = 0
        while isinstance(answer := await self._read_answer(child), lines.ImportRowBatch):
            done += len(answer.records)
            yield answer.records
        if done != total:
            raise _process_failure(f"found {total} records and handed over {done}")

    async def _read_answer(self, child: children.WorkerProcess) -> lines.ImportReadAnswer:
        """Return the next answer; the child's refusal is raised."""
        try:
            async with asyncio.timeout(self._silence):
                line = await child.read_line()
        except TimeoutError:
            raise _process_failure(f"said nothing for {self._silence:g} s") from None
        if not line.endswith(b"\n"):
            raise _process_failure("ended before the file was read to its end")
        try:
            answer = lines.decode_answer(line)
        except msgspec.MsgspecError:
            raise _process_failure("answered something that is no answer") from None
        if isinstance(answer, lines.ImportFileRefusal):
            raise ImportRejected(answer.sentence, hint=answer.hint)
        return answer


class OpenedImportFile:
    """A file that the child has opened: what it is, and its records in file order, once."""

    def __init__(
        self, summary: lines.ImportFileSummary, batches: AsyncIterator[Sequence[ParsedImportRow]]
    ) -> None:
        self.summary = summary
        self.batches = batches


def _process_failure(what: str) -> ImportRejected:
    return ImportRejected(
        f"The process that reads the file {what}.",
        hint="Nothing is lost: import the same file again and it goes on where it stopped.",
    )
