"""The real daemon under measure: its process, its memory and its CPU."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from daemon import subprocesses
from daemon.cli.client import ControlClient
from daemon.errors import NotRunning

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


@contextlib.contextmanager
def run_daemon(
    state: Path, more: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], ControlClient]]:
    """Run a daemon in a folder for the length of the block; ``more`` are further settings."""
    settings = state / "leadmaster.toml"
    (state / "rules.d").mkdir(exist_ok=True)
    text = f'[daemon]\nstate_dir = "{state}"\nport = 0\n[rules]\ndir = "{state}/rules.d"\n{more}'
    settings.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "daemon", "--config", str(settings), "run"]
    with (
        (state / "daemon.log").open("wb") as out,
        subprocesses.run_daemon(command, out, _STOP_SECONDS) as process,
    ):
        client = ControlClient(state / "control.sock")
        _wait_until_ready(client)
        yield process, client


def _wait_until_ready(client: ControlClient) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(NotRunning):
            client.get("status")
            return
        time.sleep(0.05)
    sys.exit("the daemon did not start")


def read_memory(pid: int, name: str) -> float:
    """Return a figure of the process in megabytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    if found is None:
        sys.exit(f"the kernel gives no {name}")
    return int(found[1]) / 1024


def read_wakes(pid: int) -> tuple[int, int]:
    """Return how often all threads of the process have waited and were woken, and the loop's own.

    A thread that is woken by the loop, or wakes it, does so on a machine that is awake.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    found = {each.parent.name: _read_switches(each) for each in threads}
    return sum(found.values()), found[str(pid)]


def _read_switches(status: Path) -> int:
    text = status.read_text(encoding="ascii")
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def read_cpu(pid: int) -> float:
    """Return the seconds of CPU that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
