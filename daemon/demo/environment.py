"""Runs a real daemon in a temporary folder for as long as a demonstration lasts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from msgspec import Struct

from daemon import subprocesses
from daemon.cli.client import ControlClient
from daemon.errors import NotRunning, StartRefused
from storage.state_folder import LOCK_NAME

_PREFIX: Final = "leadmaster-demo-"
_MARK: Final = "delete-at-the-end"
"""A file in each folder that is not kept. A lock on it shows that its demonstration runs."""
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 15.0


class DemoEnvironment(Struct, frozen=True):
    """The daemon of a demonstration: its folder, and a client of it."""

    folder: Path
    client: ControlClient


@contextlib.contextmanager
def run_environment(
    write_settings: Callable[[Path], str], *, keep: bool, variables: Mapping[str, str] | None = None
) -> Iterator[DemoEnvironment]:
    """Start a daemon in a new folder; stop it and, unless `keep`, delete the folder.

    Folders of demonstrations that were killed are deleted first. ``write_settings`` returns its
    settings for that folder; ``variables`` are added to its environment.
    """
    # As an exit, so that the blocks below end: a signal's default would leave daemon and folder.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    _delete_abandoned_folders()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    mark = None if keep else _mark_for_deletion(folder)
    try:
        settings, log = folder / "leadmaster.toml", folder / "daemon.log"
        settings.write_text(write_settings(folder), encoding="utf-8")
        with _run_daemon(settings, log, variables or {}) as process:
            client = ControlClient(folder / "control.sock")
            _wait_until_ready(process, client, log)
            yield DemoEnvironment(folder, client)
    except StartRefused:
        keep = True  # the log in it says why
        (folder / _MARK).unlink(missing_ok=True)
        raise
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        if mark is not None:
            os.close(mark)


def _mark_for_deletion(folder: Path) -> int:
    """Write the mark of a folder that is deleted at the end; return the descriptor of its lock."""
    draft = folder / f"{_MARK}.new"
    mark = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    # Locked before it has its name: another demonstration that starts now must not find it free.
    fcntl.flock(mark, fcntl.LOCK_EX)
    draft.rename(folder / _MARK)
    return mark


def _delete_abandoned_folders() -> None:
    """Delete the folders of this user's demonstrations that were killed; those that run stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Gone by now, of another user, or no folder: not ours to delete.
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            daemon_lock = folder / LOCK_NAME
            if _is_free(folder / _MARK) and (not daemon_lock.exists() or _is_free(daemon_lock)):
                shutil.rmtree(folder)


def _is_free(lock: Path) -> bool:
    """Return whether no process holds the lock. Raises OSError where there is no such file."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit on a signal with the status that shells report for it."""
    sys.exit(128 + number)


@contextlib.contextmanager
def _run_daemon(
    settings: Path, log: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon for the length of the block; Ctrl-C reaches this process alone."""
    command = [sys.executable, "-m", "daemon", "--config", str(settings), "run"]
    with (
        log.open("wb") as out,
        subprocesses.run_daemon(command, out, STOP_SECONDS, variables) as process,
    ):
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
