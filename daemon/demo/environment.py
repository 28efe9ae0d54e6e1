"""Runs a real daemon in a temporary folder for as long as a demonstration lasts."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from daemon import subprocesses
from daemon.cli.client import ControlClient
from daemon.errors import NotRunning, StartRefused

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0
OPENING_HOUR_UTC: Final = 14  # 11:00 in Buenos Aires, and still night shift's end in Mexico
_SATURDAY: Final = 5
_SETTINGS: Final = """\
# The settings of a demonstration: simulated phones, a clock in business hours, wide budgets.
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 3

[clock]
start = {start}
rate = {rate}

[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 120
manual_new_chats = 50

[simulated]
script = "{folder}/{visitor}"
"""
VISITOR_SCRIPT: Final = "visitor.json"
VISITOR_SCAN_AFTER: Final = 8.0
"""Seconds until the visitor's simulated phone scans its code: long enough to see the code."""


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """The daemon of a demonstration: its folder, its clock's start, and a client of it."""

    folder: Path
    start: datetime
    client: ControlClient

    def write_script(self, script: Mapping[str, Any]) -> str:
        """Store the script of the simulated phones; return its path, for the sessions' options."""
        path = self.folder / "script.json"
        path.write_text(json.dumps(script, ensure_ascii=False, indent=1), encoding="utf-8")
        return str(path)


@contextlib.contextmanager
def run_environment(*, keep: bool, rate: float) -> Iterator[DemoEnvironment]:
    """Start a daemon in a new folder; stop it and, unless `keep`, delete the folder."""
    start = find_next_working_day(datetime.now(UTC))
    # As an exit, so that the blocks below end: a signal's default would leave daemon and folder.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    folder = Path(tempfile.mkdtemp(prefix="leadmaster-demo-"))
    try:
        settings, log = _write_settings(folder, start, rate), folder / "daemon.log"
        with _run_daemon(settings, log) as process:
            client = ControlClient(folder / "control.sock")
            _wait_until_ready(process, client, log)
            yield DemoEnvironment(folder, start, client)
    except StartRefused:
        keep = True  # the log in it says why
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _write_settings(folder: Path, start: datetime, rate: float) -> Path:
    """Write the settings and the script of the visitor's phone; return the settings' path."""
    settings = folder / "leadmaster.toml"
    settings.write_text(
        _SETTINGS.format(
            folder=folder,
            start=f"{start:%Y-%m-%dT%H:%M:%SZ}",
            rate=float(rate),
            visitor=VISITOR_SCRIPT,
        ),
        encoding="utf-8",
    )
    (folder / VISITOR_SCRIPT).write_text(
        json.dumps({"scan_after": VISITOR_SCAN_AFTER}), encoding="utf-8"
    )
    return settings


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit on a signal with the status that shells report for it."""
    sys.exit(128 + number)


def find_next_working_day(now: datetime) -> datetime:
    """Return 14:00 UTC of the first coming day on which Argentina works."""
    # Not before tomorrow: events of the past would come before the daemon's own start.
    from holidays import country_holidays

    closed = country_holidays("AR")
    day = now.replace(hour=OPENING_HOUR_UTC, minute=0, second=0, microsecond=0)
    day += timedelta(days=1)
    while day.weekday() >= _SATURDAY or day.date() in closed:
        day += timedelta(days=1)
    return day


@contextlib.contextmanager
def _run_daemon(settings: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon for the length of the block; Ctrl-C reaches this process alone."""
    command = [sys.executable, "-m", "daemon", "--config", str(settings), "run"]
    with log.open("wb") as out, subprocesses.run_daemon(command, out, STOP_SECONDS) as process:
        yield process


def _wait_until_ready(process: subprocess.Popen[bytes], client: ControlClient, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise StartRefused("The daemon did not start.", hint=f"Its log says why: {log}")
        with contextlib.suppress(NotRunning):
            client.get("status")
            return
        time.sleep(0.05)
    raise StartRefused(
        f"The daemon was not ready within {START_SECONDS:g} s.", hint=f"Its log: {log}"
    )
