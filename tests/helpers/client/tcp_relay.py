"""A TCP relay in front of a server, which a test can cut, close, and redirect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 1 << 16


@dataclass
class TcpRelay:
    """Forwards bytes to `target` (``http://host:port``) while it is `up`."""

    target: str
    up: bool = True
    url: str = ""
    accepted: int = 0
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Abort every connection, as a network failure does."""
        # abort() and not close(): what is buffered must not arrive.
        for line in tuple(self._lines):
            line.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends."""
        self.accepted += 1
        if not self.up:
            writer.transport.abort()
            return
        where = urlsplit(self.target)
        far_reader, far_writer = await asyncio.open_connection(where.hostname, where.port)
        self._lines |= {writer, far_writer}
        try:
            await asyncio.gather(_copy_bytes(reader, far_writer), _copy_bytes(far_reader, writer))
        finally:
            self._lines -= {writer, far_writer}


async def _copy_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def open_tcp_relay(target: str) -> AsyncIterator[TcpRelay]:
    """Run a relay on a free port."""
    opened = TcpRelay(target)
    server = await asyncio.start_server(opened.serve, "127.0.0.1", 0)
    opened.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    try:
        yield opened
    finally:
        server.close()
        opened.cut()
        await server.wait_closed()
