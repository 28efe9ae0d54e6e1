"""The real `leadmaster demo` as a process of its own, until it has left a visitor their turn."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.cli.client import ControlClient
from daemon.cli.stage import START_SECONDS, STOP_SECONDS

_DEMO_TIMEOUT_SECONDS: Final = 60.0 + START_SECONDS
_LINK: Final = re.compile(r"the console: (http://\S+)")
_FOLDER: Final = re.compile(r"folder (\S+), deleted at the end")
_VISITOR_PROMPT: Final = "Ctrl-C ends the demonstration."


@dataclass(slots=True)
class DemoProcess:
    """A demonstration that waits for its visitor: what it has said so far, and its process."""

    process: asyncio.subprocess.Process
    output: str = ""

    @property
    def link(self) -> str:
        """Return the newest link that signs the visitor in."""
        return str(_LINK.findall(self.output)[-1])

    @property
    def folder(self) -> Path:
        """Return the folder that it promises to delete."""
        return Path(_FOLDER.findall(self.output)[0])

    @property
    def client(self) -> ControlClient:
        """Return a client of its daemon's control socket."""
        return ControlClient(self.folder / "control.sock")

    async def wait_for_visitor_turn(self) -> None:
        """Read what it says until nothing more is told but how to end it."""
        assert self.process.stdout is not None
        while _VISITOR_PROMPT not in self.output:
            line = await self.process.stdout.readline()
            assert line, f"the demonstration ended by itself:\n{self.output}"
            self.output += line.decode()

    async def interrupt(self) -> int:
        """Press Ctrl-C; return its exit status once it is gone."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(self.process.communicate(), 2 * STOP_SECONDS)
        self.output += rest.decode()
        assert self.process.returncode is not None
        return self.process.returncode


@contextlib.asynccontextmanager
async def run_demo(rate: float) -> AsyncIterator[DemoProcess]:
    """Start the demonstration, wait for the visitor's turn, and leave nothing of it behind."""
    words = ["-m", "daemon", "demo", "--stay", "--rate", str(rate)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    shown = DemoProcess(process)
    try:
        await asyncio.wait_for(shown.wait_for_visitor_turn(), _DEMO_TIMEOUT_SECONDS)
        yield shown
    finally:
        if process.returncode is None:
            await shown.interrupt()
