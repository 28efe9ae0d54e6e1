"""The limits of a connection, and the bounded queue of frames of one client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from daemon.http.websocket.frames import CLOSE_TOO_SLOW, CloseReason

SUBPROTOCOL: Final = "leadmaster.v1"
"""The subprotocol that a client must offer, and the one that the server chooses."""
HIGH_WATER_BYTES: Final = 64 << 10
"""Bytes in a connection's own buffer from which on frames wait in the listener's queue."""
MAX_MESSAGE_BYTES: Final = 16 << 10
"""The longest message that a client may send; a longer one closes with 1009."""
MAX_MISTAKES: Final = 8
"""How many messages that can't be understood are answered; the next one closes with 1008."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of one server, which a test may want smaller; times are seconds."""

    clients: int = 1000
    """How many may listen at once."""
    unauthenticated: int = 100
    """How many more may be connected that have not signed in yet."""
    queue: int = 512
    """How many frames may wait for one client; with more it is closed with 1013."""
    bus: int = 8192
    """How many events may wait for all; what has no room is read from the log."""
    ping: float = 20.0
    """How long a line may be silent until it is asked for a sign of life."""
    sign_in: float = 10.0
    """How long a client that did not say who it is may take to send `sign_in`."""
    through: float = 5.0
    """How often a narrowed client hears how far the log has gone without it."""
    recheck: float = 30.0
    """How often it is looked whether a token was revoked, or a user's role changed."""
    close: float = 2.0
    """How long a client may take to answer a close."""
    linger: float = 5.0
    """How long what is on its way may take after the close; then the line is cut."""


class ClientQueue:
    """A client's line. Nothing here waits but :meth:`write`, which is the client's own task.

    `drain` returns when the line takes more; past `limit` waiting frames the client is cut off.
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
