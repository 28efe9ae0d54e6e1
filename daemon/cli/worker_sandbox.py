"""Runs a Python module as the worker of a linked phone runs: under its unit's user and limits."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from daemon import subprocesses

WORKER_UNIT: Final = "leadmaster-linked@1.service"
_RUNTIME_UNITS: Final = Path("/run/systemd/system")
_SYSTEMCTL_SECONDS: Final = 30.0
_ASSIGNMENT: Final = re.compile(r"(\w+)=.*")
_OF_THE_WORKER_ALONE: Final = frozenset(
    (
        "ExecStart",
        "LogExtraFields",
        "NotifyAccess",
        "Restart",
        "StateDirectory",
        "StateDirectoryMode",
        "TimeoutStopSec",
        "Type",
        "User",
        "WatchdogSec",
        "WorkingDirectory",
    )
)
"""What starts and ends the worker, and its login, which another process must not have."""


def run_in_worker_sandbox(module: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a module of ours where a worker runs; return how it ended and its output.

    Without the worker's unit, workers are children of the daemon, and this is a child too. Raises
    OSError where no unit may be made, and :class:`subprocess.TimeoutExpired`.
    """
    properties = _list_sandbox_properties()
    if not properties:
        return subprocesses.run_command([sys.executable, "-m", module], seconds)
    with tempfile.TemporaryDirectory(prefix="leadmaster-doctor-", dir="/run") as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        # Not `systemd-run`: for its output it needs a message bus, which a small system lacks.
        text = _format_unit(module, [*properties, f"TimeoutStartSec={seconds:g}"], output, errors)
        with _runtime_unit(text) as name:
            done = _call_systemctl("start", name, seconds=seconds + _SYSTEMCTL_SECONDS)
        for path in (output, errors):
            path.touch()
        return subprocess.CompletedProcess(
            [module], done.returncode, output.read_text("utf-8"), errors.read_text("utf-8")
        )


def has_worker_unit() -> bool:
    """Return whether workers are units here, in a sandbox of their own."""
    return bool(_list_sandbox_properties())


def _list_sandbox_properties() -> list[str]:
    """Return what the unit says that a process of it may do; empty without the unit."""
    if not _RUNTIME_UNITS.is_dir():
        return []
    # As systemd reads it, with the drop-ins of an administrator.
    unit = _call_systemctl("cat", WORKER_UNIT)
    section, found = "", []
    for line in map(str.strip, unit.stdout.splitlines()):
        assignment = _ASSIGNMENT.fullmatch(line)
        if line.startswith("["):
            section = line
        elif assignment and section == "[Service]" and assignment[1] not in _OF_THE_WORKER_ALONE:
            found.append(line)
    return found


def _format_unit(module: str, properties: list[str], output: Path, errors: Path) -> str:
    python = sys.executable.replace("%", "%%")
    lines = (
        "[Service]",
        "Type=oneshot",
        f'ExecStart="{python}" -m {module}',
        f"StandardOutput=truncate:{output}",
        f"StandardError=truncate:{errors}",
        *properties,
    )
    return "\n".join((*lines, ""))


@contextlib.contextmanager
def _runtime_unit(text: str) -> Iterator[str]:
    """Lend a unit that is gone after the block."""
    name = f"leadmaster-doctor-{os.getpid()}.service"
    path = _RUNTIME_UNITS / name
    try:
        path.write_text(text, "utf-8")
        _call_systemctl("daemon-reload")
        yield name
    finally:
        _call_systemctl("reset-failed", name)
        path.unlink(missing_ok=True)
        _call_systemctl("daemon-reload")


def _call_systemctl(
    *words: str, seconds: float = _SYSTEMCTL_SECONDS
) -> subprocess.CompletedProcess[str]:
    return subprocesses.run_command(["systemctl", *words], seconds)
