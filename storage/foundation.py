"""The tables that storage itself needs, whatever the rest of the schema looks like."""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database as SchemaDatabase
from sqlite_utils import Migrations

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
