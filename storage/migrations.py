"""The migrations of the schema. Pending ones are applied in one transaction, after a backup."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from sqlite_utils import Database as SchemaDatabase
from sqlite_utils import Migrations

from storage.connections import APPLICATION_ID, connect_for_reading, connect_for_writing
from storage.errors import DatabaseCorrupt, DatabaseNewer, DatabaseOutdated
from storage.state_folder import PRIVATE_FOLDER_MODE, StateFolder, create_durably, sync_folder

MIGRATIONS: Final = Migrations("leadmaster")
_OLD_LINE_STEP: Final = ("leadmaster", "m001_first_tables")
"""The first step of the schema as it was before the first release; those files are not read."""


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script one by one; a trigger is one statement."""
    # Not `executescript`: it would commit the migration's transaction first.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def read_schema() -> str:
    """Return the text of `schema.sql`."""
    return importlib.resources.files("storage").joinpath("schema.sql").read_text("utf-8")


@MIGRATIONS()
def m001_schema(database: SchemaDatabase) -> None:
    """Create every table and index of `schema.sql`."""
    for statement in split_statements(read_schema()):
        database.conn.execute(statement)


TransactionStep: TypeAlias = Callable[[sqlite3.Connection], None]


def refuse_old_line(folder: StateFolder, connection: sqlite3.Connection) -> None:
    """Raise DatabaseOutdated when the file was made before the first release."""
    if _OLD_LINE_STEP in _list_applied_steps(connection):
        raise DatabaseOutdated(
            f"{folder.database} was made by a version from before the first release, whose tables"
            " this version does not read.",
            "With the version that made it, export prospects and suppressions (`leadmaster"
            " prospects export FILE`, `leadmaster suppress export FILE`); then give this version"
            " an empty folder and import both.",
        )


def refuse_newer(
    folder: StateFolder, connection: sqlite3.Connection, migrations: Migrations
) -> None:
    """Raise DatabaseNewer when a migration that this code does not have was applied to the file."""
    known = _list_known_steps(migrations)
    unknown = [
        name for group, name in _list_applied_steps(connection) if (group, name) not in known
    ]
    if unknown:
        raise DatabaseNewer(
            f"{folder.database} was migrated by a newer version (unknown: {', '.join(unknown)}).",
            "Install that version again, or restore the backup made before it was installed.",
        )


def apply_migrations(
    folder: StateFolder,
    migrations: Migrations,
    *,
    at: datetime,
    complete: TransactionStep,
) -> None:
    """Apply what is pending and call `complete`, all in one transaction.

    A file that has been in use is copied to the folder's `backups` first.
    """
    with contextlib.closing(connect_for_writing(folder.database)) as connection:
        # No plugins: other packages of the environment must not run on this database.
        schema = SchemaDatabase(connection, execute_plugins=False, recursive_triggers=False)
        pending = _list_pending_steps(migrations, schema)
        if pending and any(_list_applied_steps(connection)):
            _back_up_database(folder, pending[0], at)
        # Off, as SQLite asks for it where tables are rebuilt; has no effect inside a transaction.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        migrations.apply(schema)
        complete(connection)
        # What foreign keys did not check above is checked here, while it can be rolled back.
        _refuse_orphans(folder, connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _back_up_database(folder: StateFolder, step: str, at: datetime) -> None:
    """Copy the database as it was before the migration `step`."""
    folder.backups.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
    copy = folder.backups / f"before-{step}-{at:%Y%m%dT%H%M%SZ}.db"
    # Written under another name first: what is called `.db` is a whole copy.
    draft = copy.with_suffix(".new")
    draft.unlink(missing_ok=True)
    create_durably(draft)
    copy_database(folder.database, draft)
    draft.replace(copy)
    sync_folder(folder.backups)


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


def _refuse_orphans(folder: StateFolder, connection: sqlite3.Connection) -> None:
    orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise DatabaseCorrupt(
            f"{folder.database}: row {orphan['rowid']} of table {orphan['table']} refers to a row"
            f" of {orphan['parent']} that is not there.",
            "Put the last good copy back, then run `leadmaster doctor --adopt REASON`.",
        )


def _list_pending_steps(migrations: Migrations, schema: SchemaDatabase) -> list[str]:
    return [step.name for step in migrations.pending(schema)]


def _list_known_steps(migrations: Migrations) -> set[tuple[str, str]]:
    """Return every step that this code has."""
    # The library lists pending steps only; for an empty database these are all.
    with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
        schema = SchemaDatabase(nothing, execute_plugins=False)
        return {(migrations.name, step) for step in _list_pending_steps(migrations, schema)}


def _list_applied_steps(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    except sqlite3.OperationalError:  # no such table: nothing was ever applied
        return []
    return [(row[0], row[1]) for row in rows]
