"""Runs a coroutine as a task for the length of a block: cancelled and awaited at its end."""

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


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background_task_failed", task=task.get_name(), exc_info=error)
