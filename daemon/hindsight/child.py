"""Runs a backtest in a process of its own, so that a long one costs the daemon nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import msgspec

from daemon import children
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
    async with children.answering(command, _LONGEST_LINE) as child:
        await child.ask(report.encode(request))
        answer: report.Answer = report.BacktestProgress(0, 0)
        while isinstance(answer, report.BacktestProgress):
            answer = await _next(child, silence_seconds)
            yield answer


async def _next(child: children.Answering, seconds: float) -> report.Answer:
    try:
        async with asyncio.timeout(seconds):
            return report.decode_answer(await child.line())
    except TimeoutError:
        return report.BacktestRefusal(f"The backtest said nothing for {seconds:g} s.")
    except msgspec.MsgspecError:
        return report.BacktestRefusal("The process of the backtest died.")
