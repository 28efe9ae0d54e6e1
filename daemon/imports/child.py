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
from daemon.imports.reading import ReadRecord

WORKER: Final = (sys.executable, "-m", "daemon.imports.worker")
SILENCE_SECONDS: Final = 120.0
"""Between two answers; real seconds, because the child is a process of the real machine."""
_LONGEST_LINE: Final = 64 * 2**20  # a full batch of the longest cells stays below


class Child:
    """A way to read a file outside the daemon, so that a bad file can't hurt it."""

    def __init__(
        self, command: Sequence[str] = WORKER, *, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        self._command = command
        self._silence = silence_seconds

    @contextlib.asynccontextmanager
    async def reading(self, request: lines.Request) -> AsyncIterator[Reading]:
        """Lend what the child reads; the child is gone when the block ends.

        Raises :class:`ImportRejected`, here or while it reads on, where the file is refused, and
        where the child ends, falls silent or talks nonsense before it has handed all over.
        """
        async with children.answering(self._command, _LONGEST_LINE) as child:
            await child.ask(lines.encode(request))
            opened = await self._next(child)
            if not isinstance(opened, lines.Opened):
                raise _broken("did not say what it found")
            yield Reading(opened, self._batches(child, opened.total))

    async def _batches(
        self, child: children.Answering, total: int
    ) -> AsyncIterator[Sequence[ReadRecord]]:
        done = 0
        while isinstance(answer := await self._next(child), lines.Batch):
            done += len(answer.records)
            yield answer.records
        if done != total:
            raise _broken(f"found {total} records and handed over {done}")

    async def _next(self, child: children.Answering) -> lines.Answer:
        """Return the next answer; the child's refusal is raised."""
        try:
            async with asyncio.timeout(self._silence):
                line = await child.line()
        except TimeoutError:
            raise _broken(f"said nothing for {self._silence:g} s") from None
        if not line.endswith(b"\n"):
            raise _broken("ended before the file was read to its end")
        try:
            answer = lines.decode_answer(line)
        except msgspec.MsgspecError:
            raise _broken("answered something that is no answer") from None
        if isinstance(answer, lines.Refused):
            raise ImportRejected(answer.sentence, hint=answer.hint)
        return answer


class Reading:
    """A file that the child has opened: what it is, and its records in file order, once."""

    def __init__(self, opened: lines.Opened, batches: AsyncIterator[Sequence[ReadRecord]]) -> None:
        self.opened = opened
        self.batches = batches


def _broken(what: str) -> ImportRejected:
    return ImportRejected(
        f"The process that reads the file {what}.",
        hint="Nothing is lost: import the same file again and it goes on where it stopped.",
    )
