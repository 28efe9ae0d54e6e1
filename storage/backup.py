"""Copies of SQLite files, made while they are in use: our database, and those of linked phones.

A copy of our database is checked as a restore would: opened by this code in a folder of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from storage.connections import connect_for_reading, connect_for_writing
from storage.errors import DatabaseCorrupt
from storage.identity import DatabaseIdentity, read_identity
from storage.journal import JournalAction, SuppressionJournal
from storage.state_folder import PRIVATE_FOLDER_MODE, StateFolder, create_durably, sync_folder
from storage.tx import Reader

_MADE_AGAIN: Final = ("-wal", "-shm", "-journal")
"""Ends of the names of files that belong to an open SQLite file."""
_SQLITE_HEADER: Final = b"SQLite format 3\x00"
_CONVERSATION_TABLES: Final = ("whatsmeow_sessions", "whatsmeow_sender_keys")
"""Where the library of linked phones keeps how far each encrypted conversation has come."""
_COUNTED_TABLES: Final = ("contacts", "prospects", "messages", "inbound", "suppressions")


class DatabaseCounts(Struct, frozen=True):
    """What a copy was found to hold, once it had been opened as a restore opens it.

    `opt_outs` counts the lines of the suppression journal that suppress; `lines` all of them.
    """

    contacts: int
    prospects: int
    messages: int
    inbound: int
    suppressions: int
    opt_outs: int
    lines: int


class CheckedCopy(Struct, frozen=True):
    """The identity of a copied database, and what it holds."""

    identity: DatabaseIdentity
    counts: DatabaseCounts


def copy_database(source: Path, target: Path) -> None:
    """Copy a database, in use or not, into an existing file; it is on the disk on return."""
    # SQLite's backup, not a copy of the file: it includes what is in the write-ahead log.
    with (
        contextlib.closing(connect_for_reading(source)) as original,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def copy_folder_in_use(source: Path, target: Path) -> list[Path]:
    """Copy a folder whose SQLite files may be in use; return the copies, by their new paths.

    Sockets, locks and what belongs to an open SQLite file are left out.
    """
    target.mkdir(mode=PRIVATE_FOLDER_MODE, parents=True, exist_ok=True)
    copies: list[Path] = []
    # Plain files first: what a worker received and the daemon has not stored is in one of them, and
    # has to be in the copy even where the daemon stores it a moment later.
    for path in sorted(source.iterdir(), key=_is_sqlite):
        if path.is_symlink() or path.name.endswith((*_MADE_AGAIN, ".lock", ".new")):
            continue
        copy = target / path.name
        if path.is_dir():
            copies += copy_folder_in_use(path, copy)
        elif path.is_file():
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                copy_file_in_use(path, copy)
                copies.append(copy)
    sync_folder(target)
    return copies


def copy_file_in_use(source: Path, target: Path) -> None:
    """Copy one file, by SQLite's backup where it is a database; the copy is on the disk then."""
    if _is_sqlite(source):
        create_durably(target)
        copy_database(source, target)
    else:
        create_durably(target, source.read_bytes())


def check_sqlite_file(path: Path) -> None:
    """Check every page and index of an SQLite file; raise DatabaseCorrupt where one is damaged."""
    try:
        with contextlib.closing(connect_for_writing(path)) as connection:
            verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        raise DatabaseCorrupt(
            f"The copy of {path.name} is damaged: SQLite says '{verdict}'.",
            "Make another copy; if it is damaged too, run `leadmaster doctor`.",
        )


def check_folder_databases(folder: Path) -> int:
    """Check every SQLite file below a folder of copies; return how many there are."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_sqlite(path)]
    for path in found:
        check_sqlite_file(path)
    return len(found)


def check_state_copy(
    copy: Path, scratch: Path, adopt: Callable[[Path], DatabaseIdentity]
) -> CheckedCopy:
    """Open a copied state folder as a restore would, in an empty folder; return what it holds.

    `adopt` opens it there with the migrations of this code. Raises DatabaseRefused or
    SuppressionKeyLost where a restore would fail.
    """
    original = StateFolder(copy)
    with contextlib.closing(connect_for_reading(original.database)) as connection:
        identity = read_identity(Reader(connection))
    folder = StateFolder(scratch)
    folder.path.mkdir(mode=PRIVATE_FOLDER_MODE)
    for path in (original.database, original.journal, original.suppression_key):
        if path.exists():
            shutil.copyfile(path, folder.path / path.name)
    adopt(folder.path)
    check_sqlite_file(folder.database)
    journal = SuppressionJournal(folder.path)
    with contextlib.closing(connect_for_reading(folder.database)) as connection:
        reader = Reader(connection)
        tables = {name: reader.value(f"SELECT count(*) FROM {name}") for name in _COUNTED_TABLES}
    entries = journal.entries()
    opt_outs = sum(entry.action is JournalAction.SUPPRESSED for entry in entries)
    return CheckedCopy(identity, DatabaseCounts(**tables, opt_outs=opt_outs, lines=len(entries)))


def forget_conversations(path: Path) -> bool:
    """Forget how far each encrypted conversation of a linked phone had come; keep its login.

    Call it on a login that is older than its phone's last message. Returns whether the file is one.
    """
    # An older key of a conversation was used already: what is encrypted with it once more, the
    # contact's phone can't read. Without one, the library agrees on new keys, as on a new phone.
    with contextlib.closing(connect_for_writing(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        tables = {row["name"] for row in found}.intersection(_CONVERSATION_TABLES)
        for table in sorted(tables):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bool(tables)


def _is_sqlite(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER
    return False


def read_copied_journal(path: Path) -> bytes:
    """Return the whole lines of a journal that may be written to at this moment."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]
