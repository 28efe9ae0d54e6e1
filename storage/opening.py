"""Prepares a state folder's database for use, or adopts a copy: from the checks to the anchor."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from storage.column_formats import utc_now
from storage.connections import connect_for_writing
from storage.errors import DatabaseCloned, DatabaseMissing, translate_disk_errors
from storage.identity import (
    DatabaseAnchor,
    DatabaseIdentity,
    begin_epoch,
    has_identity,
    is_log_of_another_file,
    load_anchor,
    read_identity,
    refuse_copy,
    write_anchor,
)
from storage.integrity import check_database_file, check_state_folder, refuse_moved
from storage.journal import load_suppression_key
from storage.migrations import SchemaMigrations, TransactionStep, apply_migrations
from storage.restore_plan import finish_replacement
from storage.state_folder import FolderLock, StateFolder, create_durably
from storage.tx import Reader, Tx


def do_nothing(_connection: sqlite3.Connection) -> None:
    """Do nothing: the default step at an open."""


def prepare_database(
    folder: StateFolder, migrations: SchemaMigrations, at_open: TransactionStep, at: datetime
) -> DatabaseAnchor:
    """Check, create or migrate the database of a locked folder; write and return its anchor.

    A restore that a crash cut short is finished first. Raises DatabaseRefused, SuppressionKeyLost
    or WriteFailed.
    """
    finish_replacement(folder)
    refuse_moved(folder)
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
    identity = _read_database_identity(folder)
    refuse_copy(folder, identity, anchor)
    advanced = replace(
        anchor, high_water=identity.high_water, checkpointed=identity.high_water, log_inode=0
    )
    advanced.save(folder)
    return advanced


def adopt_database(
    path: Path,
    reason: str,
    *,
    migrations: SchemaMigrations,
    settle: Callable[[Tx], None],
    at_open: TransactionStep = do_nothing,
    now: Callable[[], datetime] = utc_now,
    latest_epoch: int = 0,
) -> DatabaseIdentity:
    """Accept a copied database as this installation's own, and begin a new epoch of it.

    `settle` runs in the transaction that begins the epoch, so that both happen or neither. The new
    epoch comes after `latest_epoch`, too: that of a database which this one replaces. Raises
    DatabaseRefused when the file itself is bad, and DatabaseInUse while a daemon runs on it.
    """
    folder = StateFolder(path)
    with contextlib.closing(FolderLock(folder)), translate_disk_errors(path):
        accepted = _build_accepted_identity(folder, migrations, latest_epoch)
        load_suppression_key(folder)

        def complete(connection: sqlite3.Connection) -> None:
            begin_epoch(Tx(connection), accepted, now(), reason)
            at_open(connection)
            settle(Tx(connection))

        apply_migrations(folder, migrations, at=now(), complete=complete)
        identity = _read_database_identity(folder)
        write_anchor(folder, identity)
        return identity


def _build_accepted_identity(
    folder: StateFolder, migrations: SchemaMigrations, latest_epoch: int
) -> DatabaseIdentity:
    """Return the identity of an adopted database: its own, in an epoch after all known ones."""
    anchor = None
    with contextlib.suppress(DatabaseCloned):  # adopting overrules a damaged anchor, too
        anchor = load_anchor(folder)
    if anchor is not None and is_log_of_another_file(folder, anchor):
        # SQLite would put its pages over those of the file that was put back.
        folder.wal.unlink()
        folder.wal_index.unlink(missing_ok=True)
    found = check_database_file(folder, migrations, anchor)
    if found is None:
        raise DatabaseMissing(
            f"There is no database in {folder.path} to adopt.",
            "Put a good copy of the folder there first, then try again.",
        )
    latest = max(latest_epoch, found.epoch, anchor.epoch if anchor else 0)
    return DatabaseIdentity(found.instance_id, latest + 1, found.high_water)


def _read_database_identity(folder: StateFolder) -> DatabaseIdentity:
    # A connection that may write: the last one to close moves the rest of the write-ahead log
    # into the file, so that the file alone is the database.
    with contextlib.closing(connect_for_writing(folder.database)) as connection:
        return read_identity(Reader(connection))
