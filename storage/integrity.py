"""Checks a database before it is opened.

It has to be there, writable, ours, undamaged, no copy, and of a known schema.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from storage.connections import APPLICATION_ID, connect_for_reading
from storage.errors import (
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseReadOnly,
    InstallationMoved,
)
from storage.identity import (
    DatabaseAnchor,
    DatabaseIdentity,
    get_database_inode,
    load_anchor,
    read_identity,
    refuse_copy,
    refuse_log_of_another_file,
)
from storage.migrations import SchemaMigrations, refuse_newer, refuse_old_line
from storage.state_folder import StateFolder
from storage.tx import Reader

T = TypeVar("T")

SQLITE_VERSION: Final = sqlite3.sqlite_version
_RESTORE_HINT: Final = (
    "Put the last good copy of the folder back, then run `leadmaster doctor --adopt REASON`."
)
_WRITE_VERSION_AT: Final = 18  # https://sqlite.org/fileformat.html#file_format_version_numbers
_WRITE_VERSIONS: Final = (1, 2)  # rollback journal, write-ahead log


def refuse_moved(folder: StateFolder) -> None:
    """Raise InstallationMoved where the installation was moved to another server."""
    if folder.tombstone.exists():
        raise InstallationMoved(
            f"This installation was moved away: {folder.tombstone} says when. Where it was moved to"
            " has the linked phones now; two would replace each other, and write to people twice.",
            "If it never ran there, take it back: leadmaster move revoke --reason WHY",
        )


def check_state_folder(folder: StateFolder, migrations: SchemaMigrations) -> DatabaseAnchor | None:
    """Check a folder's database; return its anchor, or None for a folder that is new.

    Raises the subclass of DatabaseRefused that says what is wrong.
    """
    anchor = load_anchor(folder)
    if anchor is not None:
        refuse_log_of_another_file(folder, anchor)
    identity = check_database_file(folder, migrations, anchor)
    if identity is None:
        _refuse_lost_history(folder, anchor)
    else:
        refuse_copy(folder, identity, anchor)
    return anchor


def check_database_file(
    folder: StateFolder, migrations: SchemaMigrations, anchor: DatabaseAnchor | None
) -> DatabaseIdentity | None:
    """Check that the file is writable, ours, whole and of a known schema; return its identity.

    Returns None where there is no file or nothing in it. Raises DatabaseRefused.
    """
    if not folder.database.exists():
        return None
    _refuse_read_only(folder)
    # The inode alone tells a damaged file of ours from a foreign one: the header may be what broke.
    ours = anchor is not None and anchor.inode == get_database_inode(folder)
    with _translate_sqlite_errors(folder, ours=ours), _open_for_reading(folder) as connection:
        if _is_blank(connection):
            return None
        # In this order: a foreign file must not be called damaged, and a damaged one not newer.
        _refuse_foreign(folder, connection, ours=ours)
        _refuse_damaged(folder, connection)
        refuse_old_line(folder, connection)
        refuse_newer(folder, connection, migrations)
        return read_identity(Reader(connection))


def read_database_file(folder: StateFolder, query: Callable[[Reader], T]) -> T | None:
    """Return what ``query`` reads of a folder's database, whether a daemon runs or not.

    None where there is no file or nothing in it. Raises DatabaseRefused for one that can't be read.
    """
    if not folder.database.exists():
        return None
    with _translate_sqlite_errors(folder, ours=False), _open_for_reading(folder) as connection:
        return None if _is_blank(connection) else query(Reader(connection))


def find_damage(reader: Reader) -> str:
    """Return what is wrong in any table or index, or between two tables; empty where nothing is.

    It reads everything, which takes a second for each gigabyte or so.
    """
    verdict = str(reader.value("PRAGMA integrity_check(1)"))
    if verdict != "ok":
        return verdict
    orphan = reader.one("PRAGMA foreign_key_check")
    return "" if orphan is None else f"a row of {orphan[0]} refers to one that {orphan[2]} lacks"


def _open_for_reading(folder: StateFolder) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(connect_for_reading(folder.database))


@contextlib.contextmanager
def _translate_sqlite_errors(folder: StateFolder, *, ours: bool) -> Iterator[None]:
    """Raise DatabaseForeign or DatabaseCorrupt for an error of SQLite, by whether it was ours."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # a damaged name is no UTF-8
        if not ours and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise _foreign_error(f"{folder.database} is not an SQLite database.") from error
        raise DatabaseCorrupt(
            f"{folder.database} is damaged: SQLite says '{error}'.", _RESTORE_HINT
        ) from error


def _is_blank(connection: sqlite3.Connection) -> bool:
    """Return whether nothing was ever written to the file, as after a crash at the first start."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return tables == 0 and _read_application_id(connection) == 0


def _read_application_id(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA application_id").fetchone()[0]
    return found


def _refuse_foreign(folder: StateFolder, connection: sqlite3.Connection, *, ours: bool) -> None:
    found = _read_application_id(connection)
    if found == APPLICATION_ID:
        return
    if ours:
        raise DatabaseCorrupt(
            f"{folder.database} is damaged: its header names application {found}.", _RESTORE_HINT
        )
    raise _foreign_error(
        f"{folder.database} is the database of another program (application {found})."
    )


def _foreign_error(sentence: str) -> DatabaseForeign:
    return DatabaseForeign(sentence, "Move that file away, or give the daemon another folder.")


def _refuse_damaged(folder: StateFolder, connection: sqlite3.Connection) -> None:
    with folder.database.open("rb") as file:
        write_version = file.read(_WRITE_VERSION_AT + 1)[-1]
    if write_version not in _WRITE_VERSIONS:  # SQLite would open such a file as read-only
        raise DatabaseCorrupt(
            f"{folder.database} is damaged: its header asks for file format {write_version}.",
            _RESTORE_HINT,
        )
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise DatabaseCorrupt(
            f"{folder.database} is damaged: SQLite's check says '{verdict}'.", _RESTORE_HINT
        )


def _refuse_read_only(folder: StateFolder) -> None:
    for path in (folder.path, folder.database):
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            raise DatabaseReadOnly(
                f"{path} can not be written by the user that runs the daemon.",
                "Give its ownership and write permission back; check that the disk is not mounted"
                " read-only.",
            )


def _refuse_lost_history(folder: StateFolder, anchor: DatabaseAnchor | None) -> None:
    """Raise DatabaseMissing where the folder has traces of a database but no content of one."""
    exists = folder.database.exists()
    # Allowed is a first start that a crash cut short: the file that its anchor names, no events.
    traces = [path for path in (folder.journal, folder.wal) if _has_content(path)]
    if anchor is not None and not (
        exists and anchor.high_water == 0 and anchor.inode == get_database_inode(folder)
    ):
        traces.insert(0, folder.anchor)
    if traces:
        raise DatabaseMissing(
            f"{folder.database} is {'empty' if exists else 'not there'}, though "
            f"this beside it is of one: {', '.join(path.name for path in traces)}.",
            f"{_RESTORE_HINT} To start anew, give the daemon an empty folder.",
        )


def _has_content(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size > 0
    return False
