"""The real daemon as a process of its own, and the real command line that talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from daemon.cli.client import ControlClient
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
trial_seconds = 30.0
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
