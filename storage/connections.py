"""How a connection to the one database file is opened: the pragmas, for writing and reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

APPLICATION_ID: Final = 0x4C656164  # "Lead", at byte 68 of the file
BUSY_MILLISECONDS: Final = 5_000
INTERRUPT_CHECK_STEPS: Final = (
    10_000  # of SQLite's machine, between two looks whether a statement is cut short
)
_CHECKPOINT_PAGES: Final = 4_000  # 16 MB: only a net, the periodic checkpoint comes before it

_COMMON_PRAGMAS: Final = ("foreign_keys = ON", "trusted_schema = OFF")
_WRITE_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
)


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open the connection that may change the file; every commit is on the disk when it returns.

    `synchronous=FULL` is what makes an acknowledgement true after a power cut.
    """
    return _connect(path, "rw", (*_COMMON_PRAGMAS, *_WRITE_PRAGMAS))


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a connection that can not change the file."""
    return _connect(path, "ro", (*_COMMON_PRAGMAS, "query_only = ON"))


def _connect(path: Path, mode: str, pragmas: Sequence[str]) -> sqlite3.Connection:
    """Open and set up a connection; on a file that can't be set up, leave none behind."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions are begun and ended by us, never by the module
        check_same_thread=False,  # a pool lends each connection to one thread at a time
        timeout=BUSY_MILLISECONDS / 1000,
    )
    connection.row_factory = sqlite3.Row
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection
