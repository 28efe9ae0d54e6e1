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

WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.rulebook.worker")
_MAX_LINE_BYTES: Final = 16 * 2**20


class RuleCheckProcess:
    """A way to try rule files: check, compile, run their examples in both engines."""

    def __init__(
        self,
        seconds: float,
        engines: lines.EngineChoice,
        command: Sequence[str] = WORKER_COMMAND,
        channels: tuple[str, ...] | None = None,
    ) -> None:
        self._seconds = seconds
        self._engines: lines.EngineChoice = engines
        self._command = command
        self._channels = channels

    async def check_files(self, files: Sequence[rules.RuleFile]) -> lines.RuleCheckResult:
        """Return what came of it; a child that hangs or dies is a problem at its last place."""
        at = lines.RuleCheckProgress("reading", _guess_faulty_file(files), 1, 1)
        request = lines.RuleCheckRequest(
            tuple(map(lines.to_rule_file_content, files)), self._engines, self._channels
        )
        async with children.run_worker(self._command, _MAX_LINE_BYTES) as child:
            try:
                async with asyncio.timeout(self._seconds):
                    await child.send_request(lines.encode_message(request))
                    while isinstance(answer := await _read_answer(child), lines.RuleCheckProgress):
                        at = answer
                    return answer or _build_failure(at, "the process that tried them died")
            except TimeoutError:
                return _build_failure(at, f"it took longer than {self._seconds:g} s")


def _guess_faulty_file(files: Sequence[rules.RuleFile]) -> str:
    """Return the file that is most likely to blame before the child has named a place."""
    own = [file.path for file in files if file.own]
    return (own or [file.path for file in files] or ["rules"])[-1]


async def _read_answer(child: children.WorkerProcess) -> lines.RuleCheckAnswer | None:
    line = await child.read_line()
    try:
        return lines.decode_answer(line) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None


def _build_failure(at: lines.RuleCheckProgress, what: str) -> lines.RuleCheckResult:
    sentence = f"The rules could not be tried: {what}, while {at.stage} here"
    return lines.RuleCheckResult(
        problems=(lines.RuleCheckFinding(at.file, at.line, at.column, sentence),)
    )
