"""A process of a client of WhatsApp Web: it obeys lines of JSON and answers with lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.virtual_whatsapp.journal import PATIENCE_SECONDS


class ClientProcess:
    """A client in a process of its own, which :meth:`order` and :meth:`wait_for` speak with.

    ``environment`` is that of the virtual WhatsApp it goes to; it is started in ``folder``.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        self._command = command
        self._environment = {**os.environ, **environment}
        self._folder = folder
        self._unread: defaultdict[str, deque[str]] = defaultdict(deque)

    async def start(self) -> None:
        """Start it, with the login that it kept."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
            env=self._environment,
        )

    async def order(self, *words: str) -> None:
        """Send an order: ``send NUMBER TEXT``, ``check NUMBER...``, ``logout`` and the like."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._process.stdin.drain()

    async def wait_for(self, event: str) -> str:
        """Return the text of the next event of that name; others are kept until they are asked.

        Raises :class:`ConnectionError` where the process ends before it.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._unread[event]:
                reported = json.loads(await self._read_line(event))
                self._unread[reported["event"]].append(reported["text"])
        return self._unread[event].popleft()

    async def _read_line(self, event: str) -> bytes:
        assert self._process.stdout is not None
        if line := await self._process.stdout.readline():
            return line
        raise ConnectionError(f"the client's process ended before {event}")

    async def end(self) -> None:
        """Let it end by itself, as it does when its input ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._process.wait()

    async def kill(self) -> None:
        """Kill it, wherever it is."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()
