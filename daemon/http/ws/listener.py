"""One client as the hub sees it: frames go straight to its line, or wait in a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from daemon.http.ws.endings import CLOSE_TOO_SLOW, CloseReason
from daemon.http.ws.limits import HIGH_WATER_BYTES


class ClientQueue:
    """A client's line. Nothing here waits but :meth:`write`, which is the client's own task.

    `drained` returns when the line takes more; past `limit` waiting frames the client is cut off.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, drain: Callable[[], Awaitable[None]], limit: int
    ) -> None:
        self.ended: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        self._line = transport
        self._drained = drain
        self._limit = limit
        self._backlog: deque[tuple[bytes, int]] = deque()
        self._waiting = 0
        self._start: Callable[[], Awaitable[None]] | None = None
        self._work = asyncio.Event()
        self._begun = asyncio.Event()
        self._begun.set()

    def enqueue(self, data: bytes, frames: int = 1) -> None:
        """Take so many whole frames, in order; never waits."""
        if self.ended.done():
            return
        if not self._backlog and self._line.get_write_buffer_size() < HIGH_WATER_BYTES:
            self._line.write(data)
            return
        self._waiting += frames
        if self._waiting > self._limit:
            self.close_with(CLOSE_TOO_SLOW)
            return
        self._backlog.append((data, frames))
        self._work.set()

    def close_with(self, ending: CloseReason) -> None:
        """Let the connection end; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(ending)

    async def wait_started(self) -> None:
        """Return once the stream that was last asked for has begun."""
        await self._begun.wait()

    def schedule_start(self, stream: Callable[[], Awaitable[None]]) -> None:
        """Let the writing task begin a stream; the one before must have begun."""
        self._begun.clear()
        self._start = stream
        self._work.set()

    async def drain(self) -> None:
        """Return when everything offered is on the line, and the line takes more."""
        while self._backlog:
            await self._drained()
            data, frames = self._backlog.popleft()
            self._waiting -= frames
            self._line.write(data)
        await self._drained()

    async def run_writer(self) -> None:
        """Bring waiting frames to the line, and begin streams; runs until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.drain()
            if self._start is not None:
                begin, self._start = self._start, None
                await begin()
                self._begun.set()
