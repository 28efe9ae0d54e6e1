"""Peers that send raw bytes: a WebSocket client by hand, and a server of prepared answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon.cli.client import ControlClient

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
READ_TIMEOUT = 20.0
_SMALL_BUFFER = 4096
_KEY = base64.b64encode(b"sixteen bytes ok").decode()


def mask_frame(payload: bytes, opcode: int = TEXT, *, claimed: int | None = None) -> bytes:
    """Return one client frame; `claimed` is a false length for its head."""
    size = len(payload) if claimed is None else claimed
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0xFF, size)
    # Clients must mask their frames; to a server, an unmasked one is an error (RFC 6455, 5.1).
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@dataclass(slots=True)
class RawSocket:
    """A connection after the handshake, with small buffers and no automatic answers."""

    status: str
    headers: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_frame(self) -> tuple[int, bytes]:
        """Return the next frame: opcode and payload."""
        async with asyncio.timeout(READ_TIMEOUT):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def read_until(self, kind: str) -> list[dict[str, Any]]:
        """Return the documents up to one of this kind."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["frame"] != kind:
            opcode, payload = await self.read_frame()
            found += [json.loads(payload)] if opcode == TEXT else []
        return found

    async def read_events(self, count: int) -> list[dict[str, Any]]:
        """Return the next so many events."""
        return [(await self.read_until("event"))[-1] for _ in range(count)]

    async def read_close(self) -> tuple[int | None, list[dict[str, Any]]]:
        """Return the close code, None where the connection broke, and the documents before it."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, payload = await self.read_frame()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0], found
                found += [json.loads(payload)] if opcode == TEXT else []
        return None, found


@contextlib.asynccontextmanager
async def open_raw_socket(url: str, headers: Sequence[str]) -> AsyncIterator[RawSocket]:
    """Connect to a WebSocket at `http://…`, with these header lines besides the usual ones."""
    where = urlsplit(url)
    line = socket.socket()
    # Small, so that a client that does not read is full after a few frames.
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (where.hostname, where.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=_SMALL_BUFFER)
    target = where.path + (f"?{where.query}" if where.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {where.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {_KEY}",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_TIMEOUT)).decode()
        yield RawSocket(head.split()[1], head, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.contextmanager
def serve_raw_answers(path: Path, *answers: bytes) -> Iterator[ControlClient]:
    """Serve these raw answers, one for each connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            for answer in answers:
                line, _ = listener.accept()
                with line, line.makefile("rb") as request:
                    # The request is read to its end: closing with unread bytes would reset the
                    # connection.
                    head = b"".join(iter(request.readline, b"\r\n"))
                    length = re.search(rb"Content-Length: (\d+)", head)
                    request.read(int(length[1]) if length else 0)
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield ControlClient(path)
        thread.join()


def build_http_answer(status: int, body: bytes) -> bytes:
    """Return a whole HTTP answer."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
