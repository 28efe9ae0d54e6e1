"""Runs tasks in the background: for the length of a block, and at the same moments as others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("background")


@contextlib.asynccontextmanager
async def run_in_background(coroutine: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run a coroutine beside the block; when the block ends, cancel it and await its end.

    One that ends earlier by an error is logged under ``name`` at that moment: nobody awaits it yet.
    """
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_log_failure)
    try:
        yield
    finally:
        task.cancel()
        # Its error was logged when it happened; raising it here would replace the error of the
        # block.
        await asyncio.gather(task, return_exceptions=True)


def get_seconds_to_tick(period: float, now: float) -> float:
    """Return how long it is to the next multiple of `period` on the clock that reads `now`.

    Tasks that look at something every few seconds wait so: they wake the process together. On a
    machine at rest a wake costs more than most of what is then done.
    """
    return period - now % period


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background_task_failed", task=task.get_name(), exc_info=error)
