"""The state folder: its file names, its lock, and writes that survive a power cut."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from storage.errors import DatabaseInUse, DatabaseReadOnly

PRIVATE_FILE_MODE: Final = 0o600
PRIVATE_FOLDER_MODE: Final = 0o700
LOCK_NAME: Final = "leadmaster.lock"
"""The file of a state folder that a running daemon holds a lock on."""


class StateFolder(Struct, frozen=True):
    """The paths of an installation's files, all in one folder."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "leadmaster.db"

    @property
    def wal(self) -> Path:
        """SQLite's write-ahead log: committed changes on their way into the database."""
        return self.path / "leadmaster.db-wal"

    @property
    def wal_index(self) -> Path:
        """SQLite's index of the write-ahead log, shared by all connections."""
        return self.path / "leadmaster.db-shm"

    @property
    def anchor(self) -> Path:
        """The anchor: identity and place of the database, by which a copy is recognised."""
        return self.path / "leadmaster.anchor"

    @property
    def journal(self) -> Path:
        """The suppression journal: a second copy of the opt-outs."""
        return self.path / "suppressions.journal"

    @property
    def ballast(self) -> Path:
        """A file to delete where a full disk has to take a halt or an opt-out."""
        return self.path / "leadmaster.ballast"

    @property
    def suppression_key(self) -> Path:
        """The key of the alias hashes in the journal and in the database."""
        return self.path / "suppressions.key"

    @property
    def backups(self) -> Path:
        """The folder of the copies made before migrations."""
        return self.path / "backups"

    @property
    def backup_status(self) -> Path:
        """What is known of the sealed copies: when each was made, tested, and where it is."""
        return self.path / "backup.json"

    @property
    def tombstone(self) -> Path:
        """The file by which an installation that was moved away refuses to start."""
        return self.path / "moved_away.json"

    @property
    def replacement_plan(self) -> Path:
        """The files that a restore puts in place; it is there until all of them are."""
        return self.path / "restore.plan"


class FolderLock:
    """An exclusive lock on a state folder for this process."""

    def __init__(self, folder: StateFolder) -> None:
        """Make the folder if need be and lock it. Raises DatabaseInUse or DatabaseReadOnly."""
        try:
            folder.path.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
            self._descriptor = os.open(
                folder.path / LOCK_NAME,
                os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
                PRIVATE_FILE_MODE,
            )
        except OSError as error:
            raise DatabaseReadOnly(
                f"The folder {folder.path} can not be written ({error.strerror}).",
                "Give its ownership to the user that runs the daemon, or name another folder.",
            ) from error
        # flock, not a file with a process id: the kernel releases it when the process dies.
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DatabaseInUse(
                f"Another daemon is running on {folder.path}.",
                "Stop it first, or give this one a folder of its own.",
            ) from None

    def close(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def write_durably(path: Path, content: bytes) -> None:
    """Write a private file as a whole: after a power cut it has the old content or the new."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    create_durably(draft, content)
    draft.replace(path)
    # A rename is in the folder, which has to be synced apart from the file.
    sync_folder(path.parent)


def create_durably(path: Path, content: bytes = b"") -> None:
    """Make a private file that must not exist yet; it is on the disk on return."""
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE_MODE
    )
    with os.fdopen(descriptor, "wb") as file:
        give_to_owner(descriptor, path.parent)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    sync_folder(path.parent)


def give_to_owner(file: int | Path, folder: Path) -> None:
    """Where root makes a file, give it to the owner of its folder, who has to read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        # A folder of another machine may refuse it, and needs no owner of ours.
        with contextlib.suppress(PermissionError):
            os.chown(file, owner.st_uid, owner.st_gid)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries, the names of its files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
