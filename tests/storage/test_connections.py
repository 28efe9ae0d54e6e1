"""How connections are set: what makes an acknowledgement true, and a stranger's file harmless."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from storage.connections import connect_for_reading, connect_for_writing
from tests.helpers.services.notes_database import fill_notes_database


async def test_a_commit_is_synced_before_it_is_acknowledged(tmp_path: Path) -> None:
    """With `synchronous` below FULL (2), a power cut was seen to lose acknowledged commits."""
    await fill_notes_database(tmp_path)
    with contextlib.closing(connect_for_writing(tmp_path / "leadmaster.db")) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_every_connection_keeps_references_and_distrusts_the_schema(tmp_path: Path) -> None:
    """Foreign keys hold, and a schema can not call functions with side effects."""
    await fill_notes_database(tmp_path)
    for connect in (connect_for_writing, connect_for_reading):
        with contextlib.closing(connect(tmp_path / "leadmaster.db")) as connection:
            assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
            assert connection.execute("PRAGMA trusted_schema").fetchone()[0] == 0


def test_connecting_never_makes_a_file(tmp_path: Path) -> None:
    """A mistyped path is an error, not an empty database."""
    with pytest.raises(sqlite3.OperationalError):
        connect_for_writing(tmp_path / "leadmaster.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_leaves_no_connection_behind(tmp_path: Path) -> None:
    """What could not be set up is closed: from Python 3.13 on it would be warned of."""
    path = tmp_path / "leadmaster.db"
    path.write_text("not a database, but long enough for a header " * 9, encoding="utf-8")
    with pytest.raises(sqlite3.DatabaseError):
        connect_for_writing(path)
