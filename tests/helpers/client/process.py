"""The real daemon, its command line and the demonstration as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from daemon.cli.client import ControlClient
from daemon.demo.environment import START_SECONDS, STOP_SECONDS
from daemon.errors import LeadMasterError

T = TypeVar("T")
TIMEOUT_SECONDS = 60.0
RULES_DIR_SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T15:00:00Z
rate = 20.0
[rules]
dir = "{folder}/rules.d"
check_seconds = 30.0
"""
"""Settings of a house by day whose rules are edited in its folder; more of `[rules]` may follow."""
_POLL_SECONDS = 0.05


def poll_until(get_answer: Callable[[], T | None], what: str) -> T:
    """Return the first true answer of ``look``; fail with ``what`` when none comes."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends:
        if found := get_answer():
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"never came: {what}")


@dataclass
class DaemonProcess:
    """One installation in a folder. ``settings`` are the lines of its leadmaster.toml."""

    folder: Path
    settings: str
    process: subprocess.Popen[bytes] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        """Return the state folder."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """Return the file that the daemon's output goes to."""
        return self.folder / "daemon.log"

    @property
    def client(self) -> ControlClient:
        """Return a client of the control socket."""
        return ControlClient(self.state_dir / "control.sock")

    def start(self) -> None:
        """Start the process and return once it is ready."""
        config = self.folder / "leadmaster.toml"
        config.write_text(self.settings, encoding="utf-8")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command(), "run"],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
                cwd=self.folder,
            )
        poll_until(self._ready, f"readiness; the log says:\n{self.log.read_text()[-3000:]}")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-3000:]}")
        with contextlib.suppress(LeadMasterError, OSError):
            return self.client.get("status") is not None
        return False

    def kill(self) -> None:
        """Kill the process as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """Ask the process to end; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def run_command(self, *words: str, expect: int = 0) -> str:
        """Run the real command line and return what it printed; fail on another exit status."""
        done = subprocess.run(
            [*self._command(), *words],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            env=self._environment(),
            check=False,
        )
        assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def run_json_command(self, *words: str) -> Any:  # noqa: ANN401 - the daemon's JSON
        """Run the command line with ``--json`` and return the document."""
        return json.loads(self.run_command(*words, "--json"))

    def _command(self) -> list[str]:
        config = str(self.folder / "leadmaster.toml")
        return [sys.executable, "-m", "daemon", "--config", config]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", **self.environ}


@contextlib.contextmanager
def run_daemon(
    folder: Path, settings: str, environ: Mapping[str, str] | None = None
) -> Iterator[DaemonProcess]:
    """Start a daemon and end it with the block, whatever happened."""
    daemon = DaemonProcess(folder, settings, environ=environ or {})
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(10)


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
