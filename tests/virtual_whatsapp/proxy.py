"""The proxy that leads the library to the loopback server: `CONNECT web.whatsapp.com:443`.

Any other host is refused, so that nothing of a test can leave the machine.
"""

from __future__ import annotations

import asyncio
import contextlib

LOOPBACK = "127.0.0.1"
_HEADER_LIMIT = 8192
_PIECE_BYTES = 65536


class LoopbackProxy:
    """Takes `CONNECT` for one host, and leads it to a port of the loopback interface."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_closed = False
        """Whether nobody gets through, as without a network."""
        self.refused: list[str] = []
        """Where else clients wanted to go."""

    async def start(self) -> str:
        """Listen on a free port; return the address for clients."""
        self._server = await asyncio.start_server(self._handle, LOOPBACK, 0, limit=_HEADER_LIMIT)
        return f"http://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening, and end every connection."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            pass  # the proxy stops
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, *_ = request.split()
        if self.is_closed or (method, target) != ("CONNECT", f"{self._host}:443"):
            self.refused.append(target)
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._port)
        try:
            await _copy_both_ways(reader, writer, server_reader, server_writer)
        finally:
            server_writer.close()


async def _copy_both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    server_reader: asyncio.StreamReader,
    server_writer: asyncio.StreamWriter,
) -> None:
    """Copy until either side ends."""
    copies = {
        asyncio.create_task(_copy(reader, server_writer)),
        asyncio.create_task(_copy(server_reader, writer)),
    }
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
