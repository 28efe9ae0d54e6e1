"""The ballast: a file that is deleted so that a full disk takes a halt or an opt-out."""

from __future__ import annotations

import os
from typing import Final

from storage.errors import DiskFull, classify_disk_error
from storage.state_folder import PRIVATE_FILE_MODE, StateFolder

BALLAST_BYTES: Final = 4 << 20
"""Enough for a halt and a hundred messages that people write."""
ROOM_BYTES: Final = 1 << 20
"""What has to be free beside the ballast; with less the disk counts as full."""


class Ballast:
    """The ballast file of a state folder. Its methods block."""

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder

    def ensure_room(self) -> bool:
        """Make the file where it is missing; return whether it is there, with some room beside it.

        Raises :class:`WriteFailed` for any other error of the disk.
        """
        try:
            return self._ensure_room()
        except OSError as error:
            failure = classify_disk_error(error, self._folder.ballast)
            if failure is None:
                raise
            if isinstance(failure, DiskFull):
                return False
            raise failure from error

    def drop(self) -> bool:
        """Delete the file; return whether there was one."""
        try:
            self._folder.ballast.unlink()
        except OSError:
            return False
        return True

    def drop_for_start(self) -> None:
        """Delete the file where a start would find no room for its own files."""
        if self._get_free_bytes() < ROOM_BYTES:
            self.drop()

    def _ensure_room(self) -> bool:
        free = self._get_free_bytes()
        if self._has_ballast():
            return free >= ROOM_BYTES
        if free < BALLAST_BYTES + ROOM_BYTES:
            return False
        self._create()
        return True

    def _get_free_bytes(self) -> int:
        disk = os.statvfs(self._folder.path)
        return disk.f_bavail * disk.f_frsize

    def _has_ballast(self) -> bool:
        try:
            # Blocks of 512 bytes: a file with holes would give nothing back.
            return self._folder.ballast.stat().st_blocks * 512 >= BALLAST_BYTES
        except FileNotFoundError:
            return False

    def _create(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(self._folder.ballast, flags, PRIVATE_FILE_MODE)
        try:
            os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        except OSError:
            self.drop()  # half of it would only take the room that is left
            raise
        finally:
            os.close(descriptor)


def build_full_error(folder: StateFolder) -> DiskFull:
    """Return why nothing is accepted while there is no room."""
    return DiskFull(
        f"The disk that holds {folder.path} is full: nothing is sent, and nothing new is accepted.",
        "Free some space on that disk; the daemon goes on by itself.",
    )
