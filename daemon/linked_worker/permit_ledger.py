"""The worker's ledger of used permits, which survives a restart of the worker."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from daemon.api.permit import Permit, PermitRefused

LEDGER_FILE: Final = "permits.log"
LOCK_FILE: Final = "worker.lock"
_KEPT_SECONDS: Final = 24 * 3600.0
"""Far longer than any permit is valid."""


class SessionLocked(Exception):
    """Another process serves this session."""


def lock_session(folder: Path) -> int:
    """Return the descriptor of the session's lock, which is held until the process ends.

    Raises :class:`SessionLocked` where another one does.
    """
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SessionLocked from None
    return lock


class PermitLedger:
    """Records each permit before its message is sent; needs the session's lock."""

    def __init__(self, folder: Path) -> None:
        path = folder / LEDGER_FILE
        self._used = dict(_read_ledger(path))
        _rewrite_ledger(path, self._used)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def record(self, permit: Permit) -> None:
        """Record a permit as used, durably; raise :class:`PermitRefused` for one used before."""
        if permit.id in self._used:
            raise PermitRefused("permit_used", "The permit was used before; each is for one send.")
        now = time.time()
        os.write(self._file, _format_entry(permit.id, now).encode())
        os.fsync(self._file)
        self._used[permit.id] = now

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _read_ledger(path: Path) -> Iterator[tuple[str, float]]:
    """Yield each permit that may still be valid, with its time of use."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        written_at, _, permit = line.rstrip("\n").partition(" ")
        # A crash left a line without its end: its message was not sent.
        if line.endswith("\n") and written_at.isdecimal():
            at = float(written_at)
            if at > time.time() - _KEPT_SECONDS:
                yield permit, at


def _rewrite_ledger(path: Path, used: Mapping[str, float]) -> None:
    """Replace the file atomically."""
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.writelines(_format_entry(permit, at) for permit, at in used.items())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _format_entry(permit: str, at: float) -> str:
    return f"{at:.0f} {permit}\n"
