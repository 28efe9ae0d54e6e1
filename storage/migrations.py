"""The migrations of the schema. Pending ones are applied in one transaction, after a backup."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field

from storage.backup import copy_database
from storage.connections import APPLICATION_ID, connect_for_writing
from storage.errors import DatabaseCorrupt, DatabaseNewer, DatabaseOutdated
from storage.state_folder import PRIVATE_FOLDER_MODE, StateFolder, create_durably, sync_folder

if TYPE_CHECKING:
    from sqlite_utils import Database as SchemaDatabase

MigrationStep: TypeAlias = Callable[["SchemaDatabase"], None]


class SchemaMigrations(Struct, frozen=True):
    """The steps of a schema, in order of application, each named as its function.

    A set of steps of sqlite-utils, which is loaded only where one is pending.
    """

    name: str
    steps: dict[str, MigrationStep] = field(default_factory=dict)

    def add(self, step: MigrationStep) -> MigrationStep:
        """Add the next step; a decorator."""
        self.steps[step.__name__] = step
        return step

    def list_pending(self, connection: sqlite3.Connection) -> list[str]:
        """Return the names of the steps that were not applied to a database."""
        applied = {name for group, name in _list_applied_steps(connection) if group == self.name}
        return [name for name in self.steps if name not in applied]

    def apply(self, connection: sqlite3.Connection) -> None:
        """Apply the pending steps, in the transaction that is open."""
        if not self.list_pending(connection):
            return
        # Here and not above: a tenth of what storage imports, and used once for each version.
        from sqlite_utils import Database, Migrations  # noqa: PLC0415

        migrations = Migrations(self.name)
        for step in self.steps.values():
            migrations()(step)
        # No plugins: other packages of the environment must not run on this database.
        migrations.apply(Database(connection, execute_plugins=False, recursive_triggers=False))


_OLD_LINE_STEP: Final = ("leadmaster", "m001_first_tables")
"""The first step of the schema as it was before the first release; those files are not read."""

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
    folder: StateFolder, connection: sqlite3.Connection, migrations: SchemaMigrations
) -> None:
    """Raise DatabaseNewer when a migration that this code does not have was applied to the file."""
    unknown = [
        name
        for group, name in _list_applied_steps(connection)
        if group != migrations.name or name not in migrations.steps
    ]
    if unknown:
        raise DatabaseNewer(
            f"{folder.database} was migrated by a newer version (unknown: {', '.join(unknown)}).",
            "Install that version again, or restore the backup made before it was installed.",
        )


def apply_migrations(
    folder: StateFolder,
    migrations: SchemaMigrations,
    *,
    at: datetime,
    complete: TransactionStep,
) -> None:
    """Apply what is pending and call `complete`, all in one transaction.

    A file that has been in use is copied to the folder's `backups` first.
    """
    with contextlib.closing(connect_for_writing(folder.database)) as connection:
        pending = migrations.list_pending(connection)
        if pending and any(_list_applied_steps(connection)):
            _back_up_database(folder, pending[0], at)
        # Off, as SQLite asks for it where tables are rebuilt; has no effect inside a transaction.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN IMMEDIATE")
        migrations.apply(connection)
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


def _refuse_orphans(folder: StateFolder, connection: sqlite3.Connection) -> None:
    orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    if orphan is not None:
        raise DatabaseCorrupt(
            f"{folder.database}: row {orphan['rowid']} of table {orphan['table']} refers to a row"
            f" of {orphan['parent']} that is not there.",
            "Put the last good copy back, then run `leadmaster doctor --adopt REASON`.",
        )


def _list_applied_steps(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    try:
        rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
    except sqlite3.OperationalError:  # no such table: nothing was ever applied
        return []
    return [(row[0], row[1]) for row in rows]
