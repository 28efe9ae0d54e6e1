"""The smallest client of the linked-device library: a process, and what a test does with it.

The process (`python -m tests.virtual_whatsapp.library_client DATABASE`) obeys lines of JSON and
answers with lines of JSON, on standard input and output; what the library itself prints goes to the
standard error.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.virtual_whatsapp.journal import PATIENCE_SECONDS

_ROOT = Path(__file__).parents[2]
_OPTIONS = "?_foreign_keys=on&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_x="

_LAST_PAIRING_EVENT = 2
"""Codes and pairing come as events too, but late."""


class LibraryProcess:
    """A process of the library; ``environment`` is that of the virtual WhatsApp it goes to."""

    def __init__(self, database: Path, environment: Mapping[str, str]) -> None:
        self._database = database
        self._environment = {**os.environ, **environment}
        self._unread: defaultdict[str, deque[str]] = defaultdict(deque)

    async def start(self) -> None:
        """Start it, with the login that its database holds."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.virtual_whatsapp.library_client",
            str(self._database),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
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
        raise ConnectionError(f"the library's process ended before {event}")

    async def kill(self) -> None:
        """Kill it, wherever it is."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


def main() -> None:
    """Connect, report each event, and obey until the input ends."""
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from neonize import client as library  # noqa: PLC0415 - it prints where it is loaded
    from neonize import events  # noqa: PLC0415

    client = library.NewClient(sys.argv[1] + _OPTIONS)

    def report(event: str, text: str) -> None:
        output.write(json.dumps({"event": event, "text": text}) + "\n")

    def listen(kind: type[Any]) -> None:
        client.event(kind)(lambda _, message: report(kind.__name__, str(message)))

    client.event.qr(lambda _, code: report("code", code.decode()))
    for kind, number in events.EVENT_TO_INT.items():
        if number > _LAST_PAIRING_EVENT:
            listen(kind)
    threading.Thread(target=_obey, args=(client, report), daemon=True).start()
    client.connect()


def _obey(client: Any, report: Any) -> None:  # noqa: ANN401 - the library has no types
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        try:
            if order == "send":
                report("sent", client.send_message(*arguments).ID)
            elif order == "check":
                answers = client.is_on_whatsapp(*arguments)
                report("checked", json.dumps({each.Query: each.IsIn for each in answers}))
            elif order == "pair":
                report("link_code", client.PairPhone(*arguments, show_push_notification=True))
            elif order == "logout":
                client.logout()
                report("logged_out", "")
        except Exception as error:  # noqa: BLE001 - the test reads what went wrong
            report("error", str(error))
    os._exit(0)


if __name__ == "__main__":
    main()
