"""Commands of `leadmaster` as processes beside a daemon that was started as one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.client import ControlClient
from daemon.errors import NotRunning
from tests.helpers.client.http import Json

CLI_SETTINGS = """
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T14:00:00Z
rate = 20.0
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
manual_new_chats = 50
number_checks = 500
number_check_min_age_days = 0
"""


CLI_PHONE_SCRIPT = {
    "scan_after": 4,
    "defaults": {"ack_delay": 0.1, "deliver_after": 0.1, "read_after": 0.1},
}


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Json:
        """Return what it printed as JSON."""
        return json.loads(self.out)


def build_cli_command(*arguments: str) -> list[str]:
    """Return the command line of `leadmaster` with these arguments."""
    return [sys.executable, "-m", "daemon", *arguments]


def run_cli(*arguments: str, text: str = "", **environ: str) -> CommandResult:
    """Run a command to its end."""
    done = subprocess.run(
        build_cli_command(*arguments),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return CommandResult(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class DaemonCommands:
    """A running daemon, and how to ask it."""

    folder: Path
    process: subprocess.Popen[bytes]

    def __call__(self, *arguments: str, text: str = "", **environ: str) -> CommandResult:
        """Run a command that must succeed."""
        ran = self.run_unchecked(*arguments, text=text, **environ)
        assert ran.status == 0, ran.err
        return ran

    def run_unchecked(self, *arguments: str, text: str = "", **environ: str) -> CommandResult:
        """Run a command that may fail."""
        return run_cli("--state-dir", str(self.folder), *arguments, text=text, **environ)


@contextlib.contextmanager
def run_daemon_in_folder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a daemon and wait until its control socket answers; leave none behind."""
    process = subprocess.Popen(
        build_cli_command("--config", str(folder / "leadmaster.toml"), "run"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 30
    while not _is_control_socket_answering(folder):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _is_control_socket_answering(folder: Path) -> bool:
    with contextlib.suppress(NotRunning):
        return bool(ControlClient(folder / "control.sock").get("status"))
    return False


def stop_daemon(
    process: subprocess.Popen[bytes], number: int = signal.SIGTERM
) -> tuple[int, bytes]:
    """End a daemon with a signal; return its exit status and what it logged."""
    with process:
        process.send_signal(number)
        _, log = process.communicate(timeout=30)
    return process.returncode, log
