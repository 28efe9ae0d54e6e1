"""Prepares a state folder's database for use, or adopts a copy: from the checks to the anchor."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from sqlite_utils import Migrations

from storage.column_formats import utc_now
from storage.connections import connect_for_writing
from storage.errors import DatabaseCloned, DatabaseMissing, translate_disk_errors
from storage.identity import (
    DatabaseIdentity,
    begin_epoch,
    has_identity,
    load_anchor,
    read_identity,
    write_anchor,
)
from storage.integrity import check_database_file, check_state_folder
from storage.journal import load_suppression_key
from storage.migrations import TransactionStep, apply_migrations
from storage.state_folder import FolderLock, StateFolder, create_durably
from storage.tx import Reader, Tx


def do_nothing(_connection: sqlite3.Connection) -> None:
    """Do nothing: the default step at an open."""


def prepare_database(
    folder: StateFolder, migrations: Migrations, at_open: TransactionStep, at: datetime
) -> DatabaseIdentity:
    """Check, create or migrate the database of a locked folder; write and return its identity.

    Raises DatabaseRefused, SuppressionKeyLost or WriteFailed.
    """
    anchor = check_state_folder(folder, migrations)
    # Before the database is created: where only one of the two exists, something was lost.
    load_suppression_key(folder)
    if not folder.database.exists():
        create_durably(folder.database)
    # Before the first table: after a crash in between, the next start finds the anchor of an empty
    # file and completes it.
    if anchor is None:
        anchor = write_anchor(folder, DatabaseIdentity(uuid.uuid4().hex, epoch=1, high_water=0))
    first = DatabaseIdentity(anchor.instance_id, anchor.epoch, high_water=0)

    def complete(connection: sqlite3.Connection) -> None:
        if not has_identity(Reader(connection)):
            begin_epoch(Tx(connection), first, at, "first start")
        at_open(connection)

    apply_migrations(folder, migrations, at=at, complete=complete)
    return update_anchor(folder)


def adopt_database(
    path: Path,
    reason: str,
    *,
    migrations: Migrations,
    settle: Callable[[Tx], None],
    at_open: TransactionStep = do_nothing,
    now: Callable[[], datetime] = utc_now,
) -> DatabaseIdentity:
    """Accept a copied database as this installation's own, and begin a new epoch of it.

    `settle` runs in the transaction that begins the epoch, so that both happen or neither. Raises
    DatabaseRefused when the file itself is bad, and DatabaseInUse while a daemon runs on it.
    """
    folder = StateFolder(path)
    with contextlib.closing(FolderLock(folder)), translate_disk_errors(path):
        accepted = _build_accepted_identity(folder, migrations)
        load_suppression_key(folder)

        def complete(connection: sqlite3.Connection) -> None:
            begin_epoch(Tx(connection), accepted, now(), reason)
            at_open(connection)
            settle(Tx(connection))

        apply_migrations(folder, migrations, at=now(), complete=complete)
        return update_anchor(folder)


def _build_accepted_identity(folder: StateFolder, migrations: Migrations) -> DatabaseIdentity:
    """Return the identity of an adopted database: its own, in an epoch after all known ones."""
    anchor = None
    with contextlib.suppress(DatabaseCloned):  # adopting overrules a damaged anchor, too
        anchor = load_anchor(folder)
    found = check_database_file(folder, migrations, anchor)
    if found is None:
        raise DatabaseMissing(
            f"There is no database in {folder.path} to adopt.",
            "Put a good copy of the folder there first, then try again.",
        )
    latest = found.epoch if anchor is None else max(anchor.epoch, found.epoch)
    return DatabaseIdentity(found.instance_id, latest + 1, found.high_water)


def update_anchor(folder: StateFolder) -> DatabaseIdentity:
    """Write the database's present identity into the anchor, and return it."""
    with translate_disk_errors(folder.anchor):
        # A connection that may write: the last one to close moves the rest of the write-ahead log
        # into the file, so that after a clean stop the file alone is the database.
        with contextlib.closing(connect_for_writing(folder.database)) as connection:
            identity = read_identity(Reader(connection))
        write_anchor(folder, identity)
    return identity
