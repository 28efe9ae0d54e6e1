"""Runs a backtest in a process of its own, so that a long one costs the daemon nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec

from daemon import children
from daemon.hindsight import report

WORKER_COMMAND: Final = (sys.executable, "-m", "daemon.hindsight.worker")
SILENCE_SECONDS: Final = 60.0
_MAX_LINE_BYTES: Final = 16 * 2**20


async def run_backtest_process(
    request: report.BacktestRequest,
    command: Sequence[str] = WORKER_COMMAND,
    *,
    silence_seconds: float = SILENCE_SECONDS,
) -> AsyncGenerator[report.BacktestAnswer, None]:
    """Yield the child's answers; the last is a report, or says why there is none.

    The child is gone when the loop over this ends.
    """
    async with children.run_worker(command, _MAX_LINE_BYTES) as child:
        await child.send_request(report.encode_message(request))
        answer: report.BacktestAnswer = report.BacktestProgress(0, 0)
        while isinstance(answer, report.BacktestProgress):
            answer = await _read_answer(child, silence_seconds)
            yield answer


async def _read_answer(child: children.WorkerProcess, seconds: float) -> report.BacktestAnswer:
    try:
        async with asyncio.timeout(seconds):
            return report.decode_answer(await child.read_line())
    except TimeoutError:
        return report.BacktestRefusal(f"The backtest said nothing for {seconds:g} s.")
    except msgspec.MsgspecError:
        return report.BacktestRefusal("The process of the backtest died.")
