"""One thread for what is done beside the writer; closing waits for it, whoever gave up waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from storage.errors import DatabaseClosed

P = ParamSpec("P")
T = TypeVar("T")


class MaintenanceThread:
    """Does one thing after the other, each with a connection of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage-aside")
        self._closing = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns. Raises Closed after `close`.

        Work that has begun goes on to its end, even if the caller is cancelled.
        """
        if self._closing:
            raise DatabaseClosed
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def close(self) -> None:
        """Take no new work; return once what has begun is done."""
        self._closing = True
        await asyncio.to_thread(self._thread.shutdown)
