"""The identity of a database, and the anchor file beside it by which a copy is recognised."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from storage.column_formats import format_timestamp
from storage.connections import connect_to_file_alone
from storage.errors import DatabaseCloned
from storage.event_log import get_high_water
from storage.state_folder import StateFolder, write_durably
from storage.tx import Reader, Tx

MACHINE_ID_FILE: Final = Path("/etc/machine-id")
ADOPT_HINT: Final = (
    "If the original is still in use, leave this copy alone: both would write to the same people. "
    "If this one takes its place, run `leadmaster doctor --adopt`."
)


class DatabaseIdentity(Struct, frozen=True):
    """The identity stored in the database: installation, epoch and the latest event's number."""

    instance_id: str
    epoch: int
    high_water: int


class DatabaseAnchor(Struct, frozen=True):
    """The contents of the anchor file: the database's identity, and where its file was.

    A copy of the folder has another inode, a copy on another machine another machine id, and an
    older copy fewer events than `high_water`.
    """

    instance_id: str
    epoch: int
    high_water: int
    inode: int
    machine: str
    checkpointed: int = 0
    """The latest event that is in the file itself, without its write-ahead log."""
    log_inode: int = 0
    """The inode of the write-ahead log of the daemon that runs, or ended without closing it."""
    changed: str = ""
    """What was noticed when another program changed the file under the running daemon."""

    def save(self, folder: StateFolder) -> None:
        """Write the anchor file; it is on the disk when this returns."""
        write_durably(folder.anchor, (json.dumps(asdict(self), indent=1) + "\n").encode())


def load_anchor(folder: StateFolder) -> DatabaseAnchor | None:
    """Read the anchor; None when there is none. Raises DatabaseCloned when it is unreadable."""
    # An unreadable anchor proves nothing, so it counts as a copy, not as a first start.
    try:
        return msgspec.json.decode(folder.anchor.read_bytes(), type=DatabaseAnchor)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise DatabaseCloned(
            f"{folder.anchor} is damaged, so nothing proves that {folder.database} is no copy.",
            ADOPT_HINT,
        ) from error


def write_anchor(folder: StateFolder, identity: DatabaseIdentity) -> DatabaseAnchor:
    """Write an anchor for this identity and the file as it is now; return it."""
    anchor = DatabaseAnchor(
        identity.instance_id,
        identity.epoch,
        identity.high_water,
        get_database_inode(folder),
        hash_machine_id(),
    )
    anchor.save(folder)
    return anchor


def has_identity(reader: Reader) -> bool:
    """Return whether the database has begun its first epoch."""
    return bool(reader.value("SELECT count(*) FROM epochs"))


def read_identity(reader: Reader) -> DatabaseIdentity:
    """Return the identity stored in the database. Raises sqlite3.DatabaseError without one."""
    row = reader.one("SELECT instance_id, epoch FROM epochs ORDER BY epoch DESC LIMIT 1")
    if row is None:
        raise sqlite3.DatabaseError("it does not know which installation it belongs to")
    return DatabaseIdentity(row["instance_id"], row["epoch"], get_high_water(reader))


def begin_epoch(tx: Tx, identity: DatabaseIdentity, at: datetime, reason: str) -> None:
    """Store a new identity of the database, and the reason for it."""
    tx.execute(
        "INSERT INTO epochs (epoch, instance_id, at, reason) VALUES (?, ?, ?, ?)",
        (identity.epoch, identity.instance_id, format_timestamp(at), reason),
    )


def read_file_high_water(folder: StateFolder) -> int | None:
    """Return the latest event that is in the file itself; None where it can't be read alone.

    A crash in the middle of a checkpoint leaves such a file, which is whole with its log.
    """
    try:
        with contextlib.closing(connect_to_file_alone(folder.database)) as connection:
            return get_high_water(Reader(connection))
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return None


def refuse_copy(
    folder: StateFolder, identity: DatabaseIdentity, anchor: DatabaseAnchor | None
) -> None:
    """Raise DatabaseCloned, with every reason, unless the file fits its anchor."""
    reasons = (
        ["no leadmaster.anchor lies beside it"]
        if anchor is None
        else _list_differences(folder, identity, anchor)
    )
    if reasons:
        raise DatabaseCloned(
            f"{folder.database} is not the database that last ran here: {'; '.join(reasons)}.",
            ADOPT_HINT,
        )


def get_database_inode(folder: StateFolder) -> int:
    """Return the inode of the database file, which differs for a copy of it."""
    return folder.database.stat().st_ino


def hash_machine_id(path: Path = MACHINE_ID_FILE) -> str:
    """Return a digest of this machine's id, '' where it has none."""
    # Hashed with a prefix: machine-id(5) asks that the id itself is not passed on.
    try:
        return hashlib.sha256(b"leadmaster:" + path.read_bytes().strip()).hexdigest()
    except OSError:
        return ""


def is_log_of_another_file(folder: StateFolder, anchor: DatabaseAnchor) -> bool:
    """Return whether the write-ahead log was left by a daemon that had another file open."""
    if not (anchor.log_inode and folder.wal.exists() and folder.database.exists()):
        return False
    if folder.wal.stat().st_ino != anchor.log_inode:
        return False  # it came with the file
    in_file = read_file_high_water(folder)
    return (
        get_database_inode(folder) != anchor.inode
        or bool(anchor.changed)
        or (in_file is not None and in_file < anchor.checkpointed)
    )


def refuse_log_of_another_file(folder: StateFolder, anchor: DatabaseAnchor) -> None:
    """Raise DatabaseCloned where SQLite would put the pages of another file over the database's."""
    if is_log_of_another_file(folder, anchor):
        raise DatabaseCloned(
            f"{folder.database} is not the database that last ran here: the write-ahead log beside"
            " it was left by the daemon that had another file open.",
            ADOPT_HINT,
        )


def _list_differences(
    folder: StateFolder, identity: DatabaseIdentity, anchor: DatabaseAnchor
) -> list[str]:
    in_file = read_file_high_water(folder)
    checks = {
        "it belongs to another installation": identity.instance_id != anchor.instance_id,
        f"it is in epoch {identity.epoch}, not {anchor.epoch}": identity.epoch != anchor.epoch,
        "the file was copied or moved in from elsewhere": (
            get_database_inode(folder) != anchor.inode
        ),
        "it last ran on another machine": hash_machine_id() != anchor.machine,
        # Only less is wrong: the anchor is written once a minute and lags behind after a crash.
        f"it ends at event {identity.high_water}, though event {anchor.high_water} had happened": (
            identity.high_water < anchor.high_water
        ),
        # An older file, with the log of the newer one still beside it, ends at the right event.
        f"the file without its log ends at event {in_file}, though it had event "
        f"{anchor.checkpointed}": in_file is not None and in_file < anchor.checkpointed,
        f"a running daemon noticed: {anchor.changed.removesuffix('.')}": bool(anchor.changed),
    }
    return [reason for reason, differs in checks.items() if differs]
