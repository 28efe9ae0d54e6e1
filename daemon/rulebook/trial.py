"""Tries changed rule files in a throwaway child: what hangs there does not hang the daemon."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

import rules
from daemon import children
from daemon.rulebook import lines

WORKER: Final = (sys.executable, "-m", "daemon.rulebook.worker")
_LONGEST_LINE: Final = 16 * 2**20


class Trial:
    """A way to try rule files: check, compile, run their examples in both engines."""

    def __init__(
        self,
        seconds: float,
        engines: lines.Engines,
        command: Sequence[str] = WORKER,
        channels: tuple[str, ...] | None = None,
    ) -> None:
        self._seconds = seconds
        self._engines: lines.Engines = engines
        self._command = command
        self._channels = channels

    async def of(self, files: Sequence[rules.RuleFile]) -> lines.Tried:
        """Return what came of it; a child that hangs or dies is a problem at its last place."""
        at = lines.Stage("reading", _start(files), 1, 1)
        request = lines.Request(tuple(map(lines.plain, files)), self._engines, self._channels)
        async with children.answering(self._command, _LONGEST_LINE) as child:
            try:
                async with asyncio.timeout(self._seconds):
                    await child.ask(lines.encode(request))
                    while isinstance(answer := await _next(child), lines.Stage):
                        at = answer
                    return answer or _failed(at, "the process that tried them died")
            except TimeoutError:
                return _failed(at, f"it took longer than {self._seconds:g} s")


def _start(files: Sequence[rules.RuleFile]) -> str:
    """Return the file that is most likely to blame before the child has named a place."""
    own = [file.path for file in files if file.own]
    return (own or [file.path for file in files] or ["rules"])[-1]


async def _next(child: children.Answering) -> lines.Answer | None:
    line = await child.line()
    try:
        return lines.decode_answer(line) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None


def _failed(at: lines.Stage, what: str) -> lines.Tried:
    sentence = f"The rules could not be tried: {what}, while {at.stage} here"
    return lines.Tried(problems=(lines.Remark(at.file, at.line, at.column, sentence),))
