"""The migrations of the schema, and how pending ones are applied.

Forward only, one transaction, after a backup.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from sqlite_utils import Database as SchemaDatabase
from sqlite_utils import Database as SqliteUtils
from sqlite_utils import Migrations

from storage import schema, schema_auth, schema_reach, schema_rules
from storage.connections import APPLICATION_ID, connect_for_reading, connect_for_writing
from storage.errors import DatabaseCorrupt, DatabaseNewer
from storage.state_folder import PRIVATE_FOLDER_MODE, StateFolder, create_durably, sync_folder

FOUNDATION_MIGRATIONS: Final = Migrations("leadmaster_foundation")


@FOUNDATION_MIGRATIONS()
def m001_epochs(db: SchemaDatabase) -> None:
    """Who this database is, and each time that a person accepted it as the true one."""
    db.execute(
        "CREATE TABLE epochs ("
        " epoch INTEGER PRIMARY KEY,"
        " instance_id TEXT NOT NULL,"
        " at TEXT NOT NULL,"
        " reason TEXT NOT NULL"
        ") STRICT"
    )


@FOUNDATION_MIGRATIONS()
def m002_events(db: SchemaDatabase) -> None:
    """Every event, in the order of its commit; AUTOINCREMENT never gives a number twice."""
    db.execute(
        "CREATE TABLE events ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        " type TEXT NOT NULL,"
        " at TEXT NOT NULL,"
        " subject TEXT NOT NULL,"
        " data TEXT NOT NULL"
        ") STRICT"
    )


MIGRATIONS = Migrations("leadmaster")


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script one by one, triggers whole.

    ``executescript`` would commit the migration's transaction first.
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


@MIGRATIONS()
def m001_first_tables(database: SqliteUtils) -> None:
    """Create every table of version 1."""
    for script in schema.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m002_auth(database: SqliteUtils) -> None:
    """Create the tables of users, tokens and sign-ins."""
    for script in schema_auth.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m003_rules(database: SqliteUtils) -> None:
    """Create the history of live rule sets, and the shadow's decisions."""
    for script in schema_rules.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m004_reach(database: SqliteUtils) -> None:
    """Create what the gate counts by, and the table of prospects that a person decided on."""
    for script in schema_reach.TABLES:
        for statement in split_statements(script):
            database.conn.execute(statement)


@MIGRATIONS()
def m005_waiting_prospects(database: SqliteUtils) -> None:
    """Create the indexes by which the queue finds the prospects that wait."""
    for statement in split_statements(schema_reach.QUEUE):
        database.conn.execute(statement)


@MIGRATIONS()
def m006_texts_of_a_day(database: SqliteUtils) -> None:
    """Create the index by which the gate finds what was sent to others lately."""
    for statement in split_statements(schema_reach.LATELY):
        database.conn.execute(statement)


TransactionStep: TypeAlias = Callable[[sqlite3.Connection], None]


def refuse_newer(
    folder: StateFolder, connection: sqlite3.Connection, migrations: Sequence[Migrations]
) -> None:
    """Raise DatabaseNewer when the file has been through a migration that this code lacks."""
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
    migrations: Sequence[Migrations],
    *,
    at: datetime,
    complete: TransactionStep,
) -> None:
    """Apply what is pending and call `complete`, all in one transaction.

    A file that has been in use is copied to the folder's `backups` first. Foreign keys are off
    while tables are rebuilt, and checked before the commit.
    """
    with contextlib.closing(connect_for_writing(folder.database)) as connection:
        schema = SchemaDatabase(connection, execute_plugins=False, recursive_triggers=False)
        pending = [step for group in migrations for step in _list_pending_steps(group, schema)]
        if pending and any(_list_applied_steps(connection)):
            _back_up_database(folder, pending[0], at)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        for group in migrations:
            group.apply(schema)
        complete(connection)
        _refuse_orphans(folder, connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _back_up_database(folder: StateFolder, step: str, at: datetime) -> None:
    """Copy the database as it was before the migration `step`."""
    folder.backups.mkdir(mode=PRIVATE_FOLDER_MODE, exist_ok=True)
    copy = folder.backups / f"before-{step}-{at:%Y%m%dT%H%M%SZ}.db"
    draft = copy.with_suffix(".new")
    draft.unlink(missing_ok=True)
    create_durably(draft)
    copy_database(folder.database, draft)
    draft.replace(copy)
    sync_folder(folder.backups)


def copy_database(source: Path, target: Path) -> None:
    """Copy a database, in use or not, into an existing file; it is on the disk on return."""
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


def _list_pending_steps(group: Migrations, schema: SchemaDatabase) -> list[str]:
    return [step.name for step in group.pending(schema)]


def _list_known_steps(migrations: Sequence[Migrations]) -> set[tuple[str, str]]:
    """Every step that this code has: for an empty database each of them is pending."""
    with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
        schema = SchemaDatabase(nothing, execute_plugins=False)
        return {
            (group.name, step)
            for group in migrations
            for step in _list_pending_steps(group, schema)
        }


def _list_applied_steps(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    except sqlite3.OperationalError:  # no such table: nothing was ever applied
        return []
    return [(row[0], row[1]) for row in rows]
