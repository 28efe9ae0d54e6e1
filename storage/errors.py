"""The errors of storage: each has a stable code, a sentence and a hint."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from typing import ClassVar, Final

_FULL_ERRNOS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAULT_ERRNOS: Final = frozenset({errno.EACCES, errno.EIO, errno.EPERM, errno.EROFS})
_FAULT_SQLITE_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
    }
)
_UNREADABLE_SQLITE_CODES: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
_DAMAGE_SQLITE_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE_MASK: Final = 0xFF  # SQLite keeps the detail in the higher bits


class StorageError(Exception):
    """An error that the person who runs the daemon can act on.

    `sentence` says what happened and where; `hint` says what to do.
    """

    code: ClassVar[str] = "storage"

    def __init__(self, sentence: str, hint: str) -> None:
        """Store both apart: the command line prints them on two lines."""
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class DatabaseRefused(StorageError):
    """The database must not be opened as it is; nothing was changed."""

    code = "database_refused"


class DatabaseNewer(DatabaseRefused):
    """A later version of this program has migrated the file."""

    code = "database_newer"


class DatabaseOutdated(DatabaseRefused):
    """A version from before the first release made the file."""

    code = "database_outdated"


class DatabaseForeign(DatabaseRefused):
    """The file belongs to another program."""

    code = "database_foreign"


class DatabaseCorrupt(DatabaseRefused):
    """The file was ours and is damaged."""

    code = "database_corrupt"


class DatabaseCloned(DatabaseRefused):
    """The file is a copy, or older than what this folder has already seen."""

    code = "database_cloned"


class DatabaseMissing(DatabaseRefused):
    """The folder has traces of a database, but no file or an empty one."""

    code = "database_missing"


class DatabaseReadOnly(DatabaseRefused):
    """The file or its folder can not be written."""

    code = "database_read_only"


class DatabaseInUse(DatabaseRefused):
    """Another daemon has this folder open."""

    code = "database_in_use"


class InstallationMoved(DatabaseRefused):
    """The installation was moved to another server, and must not run here too."""

    code = "installation_moved"


class ReplacementUnfinished(DatabaseRefused):
    """A restore was cut short, and this user can't finish it."""

    code = "restore_unfinished"


class SuppressionKeyLost(StorageError):
    """The journal of opt-outs exists, but not the key that its hashes were made with."""

    code = "suppression_key_lost"


class WriteFailed(StorageError):
    """A transaction could not be written: none of its jobs is acknowledged.

    After a power cut it may still turn out to be on the disk, so callers must not take this as
    proof that nothing was stored.
    """

    code = "write_failed"


class DiskFull(WriteFailed):
    """The disk was full."""

    code = "disk_full"


class DiskFault(WriteFailed):
    """The disk, or the file on it, failed."""

    code = "io"


class DatabaseReplaced(WriteFailed):
    """Another program replaced the open database, or what is in it: nothing more is written."""

    code = "database_replaced"


class DatabaseDamaged(WriteFailed):
    """A part of the open database can't be read: nothing is sent until a copy is restored."""

    code = "database_damaged"


class JobAborted(StorageError):
    """A job was ended by an exit, an interrupt or a StopIteration instead of an ordinary error."""

    code = "job_aborted"


class DatabaseClosed(StorageError):
    """The database is closing or closed; the job was not started."""

    code = "closed"

    def __init__(self) -> None:
        """Take no arguments: the sentence is always the same."""
        super().__init__(
            "The database is closed, so nothing can be read from it or written to it.",
            "Start the daemon again.",
        )


def classify_disk_error(error: BaseException, where: object) -> WriteFailed | None:
    """Return the WriteFailed for an error of disk or file, or None where a job is the cause."""
    if _is_full(error):
        return DiskFull(
            f"The disk that holds {where} is full, so the change was not written.",
            "Free some space on that disk; the daemon goes on by itself.",
        )
    if (damage := _find_damage(error, where)) is not None:
        return damage
    if _is_faulty(error):
        return DiskFault(
            f"Writing to {where} failed ({error}), so the change was not written.",
            "Check the disk and the kernel log, then run `leadmaster doctor`.",
        )
    return None


def classify_read_error(error: sqlite3.Error, where: object) -> WriteFailed | None:
    """Return the error of disk or file for one of a query, or None where the query is the cause."""
    if (damage := _find_damage(error, where)) is not None:
        return damage
    if _sqlite_code(error) in _UNREADABLE_SQLITE_CODES:
        return DiskFault(
            f"Reading {where} failed ({error}).",
            "Check the disk and the kernel log, then run `leadmaster doctor`.",
        )
    return None


def _find_damage(error: BaseException, where: object) -> DatabaseDamaged | None:
    if _sqlite_code(error) not in _DAMAGE_SQLITE_CODES:
        return None
    return DatabaseDamaged(
        f"{where} is damaged: SQLite says '{error}'.",
        "Stop the daemon and restore the last good copy: leadmaster restore --help",
    )


@contextlib.contextmanager
def translate_disk_errors(where: object) -> Iterator[None]:
    """Raise WriteFailed for an error of the disk inside the block; let other errors pass."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        failure = classify_disk_error(error, where)
        if failure is None:
            raise
        raise failure from error


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL_ERRNOS
    return _sqlite_code(error) == sqlite3.SQLITE_FULL


def _is_faulty(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FAULT_ERRNOS
    return _sqlite_code(error) in _FAULT_SQLITE_CODES


def _sqlite_code(error: BaseException) -> int:
    # Errors that Python's module raises by itself have no code of SQLite's.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE_MASK
