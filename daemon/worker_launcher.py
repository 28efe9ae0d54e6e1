"""Launches a worker: as a child, or by the unix socket of its systemd unit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from daemon.api.launcher import Worker
from daemon.subprocesses import WORKER_LINE_BYTES, run_worker, start_worker_process
from daemon.worker_protocol import WorkerArguments, WorkerPipes, encode_frame

_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 5.0


async def launch_worker(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    socket: Path | None = None,
) -> Worker:
    """Start a child, or connect to ``socket``; see :class:`daemon.api.launcher.LaunchWorker`."""
    if socket is not None:
        return await connect_worker(socket, module, arguments)
    return await start_worker_process(module, arguments, environment=environment)


class ConnectedWorker:
    """A worker that a service manager runs: it is there for as long as its connection."""

    pid: int | None = None
    """Another user's process, which the daemon may neither measure nor kill."""

    def __init__(self, reader: _EndingReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def wait(self) -> int | None:
        """Return None once the worker has ended: only its service manager knows how."""
        await self.reader.ended.wait()
        return None

    async def close(self) -> None:
        """Close the connection, with which the worker ends. Idempotent, bounded, never raises."""
        self.writer.close()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.writer.wait_closed()


async def connect_worker(socket: Path, module: str, arguments: Sequence[str]) -> ConnectedWorker:
    """Connect to the socket of a worker's unit, and send the worker its command line.

    Raises :class:`OSError` where nobody listens there.
    """
    loop = asyncio.get_running_loop()
    reader = _EndingReader(limit=WORKER_LINE_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    async with asyncio.timeout(_CONNECT_SECONDS):
        transport, _ = await loop.create_unix_connection(lambda: protocol, str(socket))
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    # Without waiting: it fits into the socket's buffer, and the worker may be starting.
    writer.write(encode_frame(WorkerArguments(module, tuple(arguments))))
    return ConnectedWorker(reader, writer)


@contextlib.asynccontextmanager
async def open_request_worker(
    socket: str, command: Sequence[str], max_line_bytes: int
) -> AsyncIterator[WorkerPipes]:
    """Open a program that answers one request: over its unit's socket, or else as a child.

    Raises :class:`OSError` where nobody listens there, ``TimeoutError`` where nobody accepts.
    """
    if not socket:
        async with run_worker(command, max_line_bytes) as child:
            yield child
        return
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await asyncio.open_unix_connection(socket, limit=max_line_bytes)
    with contextlib.closing(writer):
        yield _SocketPipes(reader, writer)


class _SocketPipes:
    """The connection to the unit of a program that answers one request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send_request(self, request: bytes) -> None:
        """Write the request, the only one."""
        self._writer.write(request)
        await self._writer.drain()
        self._writer.write_eof()

    async def read_line(self) -> bytes:
        """Return the next line; without a line break at its end where the program has ended."""
        return await self._reader.readline()


class _EndingReader(asyncio.StreamReader):
    """A stream whose end can be waited for without reading it."""

    def __init__(self, *, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit, loop)
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        """Take the end of the stream."""
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: BaseException) -> None:
        """Take the fault that ended the stream."""
        super().set_exception(exc)  # type: ignore[arg-type] # narrower in the stubs than in asyncio
        self.ended.set()
