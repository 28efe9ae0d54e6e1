"""Runs a backtest in a process of its own, so that a long one costs the daemon nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Sequence
from typing import Final, cast

import msgspec

from daemon.hindsight import report

WORKER: Final = (sys.executable, "-m", "daemon.hindsight.worker")
SILENCE_SECONDS: Final = 60.0
_LONGEST_LINE: Final = 16 * 2**20


async def backtested(
    request: report.Request,
    command: Sequence[str] = WORKER,
    *,
    silence_seconds: float = SILENCE_SECONDS,
) -> AsyncGenerator[report.Answer, None]:
    """Yield the child's answers; the last is a report, or says why there is none.

    The child is gone when the loop over this ends.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LONGEST_LINE
    )
    stdin = cast("asyncio.StreamWriter", process.stdin)  # both were asked for as pipes
    stdout = cast("asyncio.StreamReader", process.stdout)
    try:
        with contextlib.suppress(ConnectionError):  # it died at once: reading will say so
            stdin.write(report.encode(request))
            await stdin.drain()
        answer: report.Answer = report.Progress(0, 0)
        while isinstance(answer, report.Progress):
            answer = await _next(stdout, silence_seconds)
            yield answer
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _next(stdout: asyncio.StreamReader, seconds: float) -> report.Answer:
    try:
        async with asyncio.timeout(seconds):
            return report.decode_answer(await stdout.readline())
    except TimeoutError:
        return report.Refused(f"The backtest said nothing for {seconds:g} s.")
    except msgspec.MsgspecError:
        return report.Refused("The process of the backtest died.")
