"""Hold the writer, so that a test decides what gathers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from storage.db import Database
from storage.tx import Tx


class WriterHold:
    """A job that holds the writer until it is let go, so that others gather behind it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _tx: Tx) -> None:
        """Wait in the writer's thread."""
        self._entered.set()
        assert self._open.wait(10)

    async def wait_until_held(self) -> None:
        """Wait until the writer is held."""
        assert await asyncio.to_thread(self._entered.wait, 10)

    def release(self) -> None:
        """Let the writer go."""
        self._open.set()


@contextlib.asynccontextmanager
async def hold_writer(database: Database, *, urgent: bool = False) -> AsyncIterator[None]:
    """Hold the writer inside; let it go at the end, whatever becomes of its transaction."""
    gate = WriterHold()
    holding = asyncio.create_task(database.write(gate, urgent=urgent))
    await gate.wait_until_held()
    try:
        yield
    finally:
        gate.release()
        await asyncio.gather(holding, return_exceptions=True)


async def yield_to_tasks(count: int = 5) -> None:
    """Let tasks that can run, run."""
    for _ in range(count):
        await asyncio.sleep(0)
