"""Whether a linked device can store what it receives: what it can't store, it can't decrypt either.

Its library notices nothing of that: it stays connected, and acknowledges messages to WhatsApp.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

DATABASE_FILE: Final = "linked.db"
"""The name of a driver's SQLite database in the session's folder."""
PROBE_FILE: Final = "room.probe"
_NEEDED_BYTES: Final = 256 << 10
"""As much as the library may write of one message and its keys."""
_WRITE_LOCK_BYTE: Final = 120
"""Where SQLite's write lock is in the file of shared memory, by its file format."""
_LOCK: Final = struct.Struct("@hhqqi")
"""`struct flock` of Linux: type, whence, start, length, process."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DISK_FULL: Final = (
    "The disk is full: the linked device can store nothing, and is not connected. Make room."
)
FOLDER_REFUSED: Final = (
    "The linked device can't write to its folder ({error}), and is not connected."
)
DATABASE_HELD: Final = (
    "Another process holds the database of the linked device, which is not connected. End that"
    " process."
)


class StorageCheck:
    """Looks at one session's folder, and at the SQLite database in it."""

    def __init__(self, folder: Path) -> None:
        self._probe = folder / PROBE_FILE
        self._shared_memory = folder / f"{DATABASE_FILE}-shm"
        self._locks: int | None = None

    def find_fault(self) -> str:
        """Return why nothing can be stored now, as a sentence; empty where it can."""
        try:
            self._reserve_room()
        except OSError as error:
            if error.errno in _FULL:
                return DISK_FULL
            return FOLDER_REFUSED.format(error=error.strerror)
        return DATABASE_HELD if self._is_database_held() else ""

    def close(self) -> None:
        """Close what is kept open; only for a process that has no database of its own open."""
        if self._locks is not None:
            os.close(self._locks)
            self._locks = None

    def _reserve_room(self) -> None:
        """Reserve what a message may need, and give it back; raise OSError where that fails."""
        probe = os.open(self._probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(probe, 0, _NEEDED_BYTES)
            os.ftruncate(probe, 0)
        finally:
            os.close(probe)

    def _is_database_held(self) -> bool:
        """Return whether another process may write to the database, and this one not."""
        if self._locks is None:
            try:
                # Kept open for good: closing it would take this process's own locks away.
                self._locks = os.open(self._shared_memory, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK_BYTE, 1, 0)
        found, *_ = _LOCK.unpack(fcntl.fcntl(self._locks, fcntl.F_GETLK, asked))
        return bool(found != fcntl.F_UNLCK)
