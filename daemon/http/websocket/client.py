"""The limits of a WebSocket connection, and the bounded send queue of one client."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from daemon.http.websocket.frames import CLOSE_TOO_SLOW, CloseReason

SUBPROTOCOL: Final = "leadmaster.v1"
"""The subprotocol that a client must offer, and that the server chooses."""
HIGH_WATER_BYTES: Final = 64 << 10
"""Bytes in a connection's write buffer from which on frames wait in the client's queue."""
MAX_MESSAGE_BYTES: Final = 16 << 10
"""The longest message that a client may send; a longer one closes with 1009."""
MAX_MISTAKES: Final = 8
"""How many unusable messages of a client are answered; the next one closes with 1008."""


class StreamLimits(Struct, frozen=True):
    """The limits of one server; times are seconds. Tests use smaller ones."""

    clients: int = 1000
    """How many signed-in clients may be connected."""
    unauthenticated: int = 100
    """How many clients that have not signed in may be connected besides."""
    queue: int = 512
    """How many frames may wait for one client; one more closes it with 1013."""
    bus: int = 8192
    """How many events the bus may queue; later ones are read from the event log."""
    ping: float = 20.0
    """After so long without a message the server sends a ping."""
    sign_in: float = 10.0
    """How long a client without credentials in its handshake may take to send `sign_in`."""
    through: float = 5.0
    """How often a client whose filter leaves events out gets a `through` frame."""
    recheck: float = 30.0
    """How often a client's token or sign-in is checked for revocation and changed scopes."""
    close: float = 2.0
    """How long a client may take to answer a close."""
    linger: float = 5.0
    """How long the connection may take to drain after the close; then it is aborted."""


class ClientQueue:
    """The send queue of one client. Only :meth:`run_writer`, the client's own task, waits.

    `drain` returns when the transport takes more; past `limit` waiting frames the client is closed.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, drain: Callable[[], Awaitable[None]], limit: int
    ) -> None:
        self.ended: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()
        self._transport = transport
        self._drain = drain
        self._limit = limit
        self._backlog: deque[tuple[bytes, int]] = deque()
        self._waiting = 0
        self._start: Callable[[], Awaitable[None]] | None = None
        self._work = asyncio.Event()
        self._begun = asyncio.Event()
        self._begun.set()

    def enqueue(self, data: bytes, frames: int = 1) -> None:
        """Queue `data`, which holds so many whole frames; never waits."""
        if self.ended.done():
            return
        # Straight to the transport where nothing waits: a wake-up of the writer costs more than the
        # write.
        if not self._backlog and self._transport.get_write_buffer_size() < HIGH_WATER_BYTES:
            self._transport.write(data)
            return
        self._waiting += frames
        if self._waiting > self._limit:
            self.close_with(CLOSE_TOO_SLOW)
            return
        self._backlog.append((data, frames))
        self._work.set()

    def close_with(self, ending: CloseReason) -> None:
        """End the connection; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(ending)

    async def wait_started(self) -> None:
        """Return once the last scheduled stream has begun."""
        await self._begun.wait()

    def schedule_start(self, stream: Callable[[], Awaitable[None]]) -> None:
        """Let the writer task begin a stream; the one before must have begun."""
        self._begun.clear()
        self._start = stream
        self._work.set()

    async def drain(self) -> None:
        """Return when everything queued is written, and the transport takes more."""
        while self._backlog:
            await self._drain()
            data, frames = self._backlog.popleft()
            self._waiting -= frames
            self._transport.write(data)
        await self._drain()

    async def run_writer(self) -> None:
        """Write waiting frames and begin scheduled streams, until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self.drain()
            if self._start is not None:
                begin, self._start = self._start, None
                await begin()
                self._begun.set()
