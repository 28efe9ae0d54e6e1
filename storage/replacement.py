"""Notices that another program replaced or changed the database's files while they are open.

The connections would go on with a file that has no name any more, or with pages of two databases.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from storage.connections import connect_to_file_alone
from storage.errors import DatabaseReplaced, DiskFault
from storage.identity import DatabaseAnchor, read_identity
from storage.state_folder import StateFolder
from storage.tx import Reader

REPLACED_HINT: Final = (
    "Nothing is sent or stored until then: stop the daemon, put the right file back, and start it "
    "again. A copy has to be adopted first: see the how-to on copied databases."
)
# https://sqlite.org/walformat.html: the header of the log, and the first one in its index.
_LOG_HEADER: Final = struct.Struct(">4xII4x8s8s")
_INDEX_HEADER: Final = struct.Struct("=14xHI12x8s8s")
# How many frames are in the file; at the end those that a checkpoint set out to move.
_MOVED_FRAMES: Final = struct.Struct("=I28xI")
_MOVED_FRAMES_AT: Final = 96
_FRAME_HEADER_BYTES: Final = 24
_FileId = tuple[int, int]  # device and inode
# File systems note the time of a change by the tick of the kernel's clock, of up to 10 ms (see
# inode(7)): a second change within the same tick has the same time.
_TICK_NANOSECONDS: Final = 100_000_000


class ReplacementWatch:
    """Compares the files with those that were opened, and their content with what was written.

    All checks are made in the writer's thread, before and after the jobs of each transaction. Once
    something was noticed, `fault` stays: only a start checks everything.
    """

    def __init__(self, folder: StateFolder, anchor: DatabaseAnchor) -> None:
        """Watch the database that the anchor describes, as it is now."""
        self._folder = folder
        self._anchor = anchor
        self._opened: dict[Path, _FileId] = {}
        self._index: int | None = None  # SQLite's own descriptor
        self._log: int | None = None  # ours, kept open: there may be none left when it is needed
        self._data_version = 0
        self._written: tuple[int, int] | None = None  # size and time of the file's last change
        self._checkpoint = threading.Lock()
        self._whole_at: tuple[bytes, int] | None = None  # salts and moved frames
        self.fault: DatabaseReplaced | None = None
        """What was noticed."""
        self.is_content_mixed = False
        """Whether the open file itself was changed, so that its name and place prove nothing."""
        self.high_water = anchor.high_water
        """The number of the last committed event."""
        self.checkpointed = anchor.checkpointed
        """The number of the last event that is in the file itself."""

    @property
    def log_inode(self) -> int:
        """The inode of the write-ahead log; 0 before `begin`."""
        return self._opened.get(self._folder.wal, (0, 0))[1]

    def begin(self, connection: sqlite3.Connection) -> None:
        """Note the files of a connection, which the thread of the checks has opened."""
        self._data_version = _read_data_version(connection)
        found = read_identity(Reader(connection))
        self.high_water = max(self.high_water, found.high_water)
        for path in (self._folder.database, self._folder.wal, self._folder.wal_index):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                self._opened[path] = (status.st_dev, status.st_ino)
        self._index = _find_descriptor(self._opened.get(self._folder.wal_index))
        if self._index is not None:
            self._log = os.open(self._folder.wal, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.check_files()
        except BaseException:
            self.close_log()
            raise

    def check_files(self) -> None:
        """Raise DatabaseReplaced where a file is gone, is another one, or has other content."""
        self.check_places()
        self._check_log()
        self._check_database()

    def check_places(self) -> None:
        """Raise DatabaseReplaced where a file is gone or another one; from any thread."""
        if self.fault is not None:
            raise self.fault.with_traceback(None)
        for path, opened in self._opened.items():
            status = self._get_status(path)
            if (status.st_dev, status.st_ino) != opened:
                self._refuse(f"{path} was replaced by another file while the daemon ran.")
        if self._get_status(self._folder.database).st_ino != self._anchor.inode:
            self._refuse(f"{self._folder.database} was replaced by another file at the start.")

    def check_transaction(self, connection: sqlite3.Connection) -> None:
        """Raise DatabaseReplaced where another program wrote another database into ours.

        Call it at the beginning of a transaction.
        """
        version = _read_data_version(connection)
        if version != self._data_version:
            self._compare_identity(connection, self.high_water)
            self._data_version = version

    def check_closed(self) -> None:
        """Check the file once more, after the last connection was closed."""
        if self.fault is not None:
            raise self.fault.with_traceback(None)
        opened = self._opened.pop(self._folder.database)
        self._opened = {self._folder.database: opened}
        self.check_places()
        if not self._folder.wal.exists():  # all of it was moved into the file
            self._written, self.checkpointed = None, self.high_water
        self._check_database()

    @contextlib.contextmanager
    def checkpointing(self) -> Iterator[None]:
        """Move changes from the log into the file in this block, which is no fault.

        Call `note_checkpoint` in it after each checkpoint.
        """
        with self._checkpoint:
            self.check_places()
            yield

    def note_checkpoint(self, frames: int, moved: int) -> None:
        """Note how many frames the log had at a checkpoint, and how many of them were moved."""
        if self._index is not None and frames == moved:
            _, salts, *_ = self._read_moved_frames(self._index)
            self._whole_at = (salts, moved)

    def close_log(self) -> None:
        """Look into the log no more: the connection is about to be closed."""
        if self._log is not None:
            os.close(self._log)
        self._index = self._log = None

    def _check_database(self) -> None:
        """Look into the file where it was changed since the last look, as a checkpoint does."""
        looked = time.time_ns()
        status = self._get_status(self._folder.database)
        written = (status.st_size, status.st_mtime_ns)
        if written == self._written or not self._checkpoint.acquire(blocking=False):
            return  # while a checkpoint is at work the file is between two states
        try:
            if not self._is_file_whole():
                return
            with (
                self._refuse_unreadable(),
                contextlib.closing(connect_to_file_alone(self._folder.database)) as connection,
            ):
                self.checkpointed = self._compare_identity(connection, self.checkpointed)
            # A file that has only just changed is looked into again.
            is_settled = status.st_mtime_ns < looked - _TICK_NANOSECONDS
            self._written = written if is_settled else None
        finally:
            self._checkpoint.release()

    def _is_file_whole(self) -> bool:
        """Return whether the file can be read without its log.

        A checkpoint beside a reader, or one that failed, moves some of the newest pages and not
        others; the file is whole again after one that moves all.
        """
        if self._index is None:
            return not self._folder.wal.exists()
        frames, salts, moved, attempted = self._read_moved_frames(self._index)
        if attempted > moved:
            return False
        # None was moved yet: a log begins anew once all of the one before it was.
        if moved in {0, frames}:
            self._whole_at = (salts, moved)
        return self._whole_at == (salts, moved)

    def _read_moved_frames(self, index: int) -> tuple[int, bytes, int, int]:
        """Return frames and salts of the log, and how many were moved, and were to be moved."""
        _, frames, salts, _ = _INDEX_HEADER.unpack(os.pread(index, _INDEX_HEADER.size, 0))
        found = os.pread(index, _MOVED_FRAMES.size, _MOVED_FRAMES_AT)
        return frames, salts, *_MOVED_FRAMES.unpack(found)

    def _check_log(self) -> None:
        """Compare the log with its index in memory, which only this process writes."""
        if self._index is None or self._log is None:
            return
        before = os.pread(self._index, _INDEX_HEADER.size, 0)
        page_size, frames, salts, _ = _INDEX_HEADER.unpack(before)
        if not frames:
            return
        header, size = os.pread(self._log, _LOG_HEADER.size, 0), os.fstat(self._log).st_size
        if os.pread(self._index, _INDEX_HEADER.size, 0) != before:
            return  # a checkpoint has just emptied the log
        needed = _LOG_HEADER.size + frames * (_FRAME_HEADER_BYTES + (page_size or 1 << 16))
        if size < needed or _LOG_HEADER.unpack(header)[2] != salts:
            self.is_content_mixed = True
            self._refuse(f"{self._folder.wal} was changed by another program while the daemon ran.")

    def _compare_identity(self, connection: sqlite3.Connection, high_water: int) -> int:
        """Return the number of the last event; it may not be before ``high_water``."""
        with self._refuse_unreadable():
            found = read_identity(Reader(connection))
        ours = (self._anchor.instance_id, self._anchor.epoch)
        if (found.instance_id, found.epoch) != ours:
            self._refuse_content("it is the database of another installation or epoch")
        if found.high_water < high_water:
            self._refuse_content(
                f"it ends at event {found.high_water}, though event {high_water} had happened"
            )
        return found.high_water

    @contextlib.contextmanager
    def _refuse_unreadable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN:
                raise DiskFault(
                    f"{self._folder.database} can't be looked into ({error}), so nothing is "
                    "written to it.",
                    "Look how many files the daemon may open; it goes on by itself.",
                ) from error
            self._refuse_content(f"SQLite says '{error}'")

    def _refuse_content(self, reason: str) -> NoReturn:
        self.is_content_mixed = True
        path = self._folder.database
        self._refuse(f"{path} was changed by another program while the daemon ran: {reason}.")

    def _refuse(self, sentence: str) -> NoReturn:
        self.fault = DatabaseReplaced(sentence, REPLACED_HINT)
        raise self.fault

    def _get_status(self, path: Path) -> os.stat_result:
        try:
            return path.stat()
        except FileNotFoundError:
            self._refuse(f"{path} was deleted or moved away while the daemon ran.")
        except OSError as error:
            raise DiskFault(
                f"{path} can't be looked at ({error.strerror}), so nothing is written to it.",
                "Give the folder back to the user that runs the daemon.",
            ) from error


def _read_data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has changed the database."""
    found: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return found


def _find_descriptor(file: _FileId | None) -> int | None:
    """Return the descriptor that SQLite has of this file, or None where it can't be found."""
    # To open and close the file again would release all locks of this process on it (POSIX).
    with contextlib.suppress(OSError):
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                status = os.fstat(int(link.name))
                if (status.st_dev, status.st_ino) == file:
                    return int(link.name)
    return None
