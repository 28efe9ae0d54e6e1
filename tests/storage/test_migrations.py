"""Migrations: forward only, all or nothing, after a copy."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlite_utils import Database as SchemaDatabase
from sqlite_utils import Migrations

from storage.db import Database
from storage.errors import DatabaseCorrupt, DiskFull
from tests.helpers.services.notes_database import (
    NEWER_NOTES_MIGRATIONS,
    NOON,
    NOTES_MIGRATIONS,
    add_note,
    connect_directly,
    fill_notes_database,
    ignore_events,
    list_note_texts,
    m001_notes,
    open_notes_database,
)


def columns(path: Path) -> list[str]:
    """Return the columns of the first table."""
    with connect_directly(path) as connection:
        return [row[1] for row in connection.execute("PRAGMA table_info (notes)")]


async def test_an_old_database_is_copied_then_migrated(tmp_path: Path) -> None:
    """The copy is whole, private, and as it was before."""
    await fill_notes_database(tmp_path, "one")
    database = await Database.open(
        tmp_path, migrations=NEWER_NOTES_MIGRATIONS, on_events=ignore_events, now=lambda: NOON
    )
    assert await database.read(list_note_texts) == ["one"]
    await database.close()
    copy = tmp_path / "backups" / "before-m002_colours-20260302T120000Z.db"
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert columns(copy) == ["id", "text"]
    assert columns(tmp_path / "leadmaster.db") == ["id", "text", "colour"]
    with connect_directly(copy) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("one",)]


async def test_a_current_database_is_not_copied(tmp_path: Path) -> None:
    """Starting twice leaves no backups, nor does the first start."""
    await fill_notes_database(tmp_path, "one")
    await fill_notes_database(tmp_path, "two")
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize("used", [True, False])
async def test_a_migration_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, *, used: bool
) -> None:
    """The steps before it are undone as well, and the version before still opens the file."""
    broken = Migrations("small")
    broken()(m001_notes)

    @broken()
    def m002_half(db: SchemaDatabase) -> None:
        db.execute("ALTER TABLE notes ADD COLUMN half TEXT")

    @broken()
    def m003_fails(db: SchemaDatabase) -> None:
        db.execute("ALTER TABLE nowhere ADD COLUMN x TEXT")

    if used:
        await fill_notes_database(tmp_path, "one")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        await Database.open(tmp_path, migrations=broken, on_events=ignore_events)
    async with open_notes_database(tmp_path, migrations=NOTES_MIGRATIONS) as database:
        assert await database.read(list_note_texts) == (["one"] if used else [])
    assert columns(tmp_path / "leadmaster.db") == ["id", "text"]


async def test_a_migration_may_rebuild_a_table_that_others_refer_to(tmp_path: Path) -> None:
    """Foreign keys do not stand in the way, and hold again afterwards."""
    rebuilt = Migrations("small")
    rebuilt()(m001_notes)

    @rebuilt()
    def m002_wider(db: SchemaDatabase) -> None:
        db.table("notes").transform(rename={"text": "words"})

    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        await database.write(lambda tx: tx.execute("INSERT INTO marks VALUES (1)").rowcount)
    async with open_notes_database(tmp_path, migrations=rebuilt) as database:
        assert await database.read(lambda r: r.value("SELECT words FROM notes")) == "one"
        assert await database.read(lambda r: r.value("SELECT note FROM marks")) == 1
        with pytest.raises(sqlite3.IntegrityError):
            await database.write(lambda tx: tx.execute("INSERT INTO marks VALUES (9)").rowcount)


async def test_a_migration_that_orphans_rows_is_refused(tmp_path: Path) -> None:
    """The check before the commit names the table, and nothing is changed."""
    careless = Migrations("small")
    careless()(m001_notes)

    @careless()
    def m002_forgets(db: SchemaDatabase) -> None:
        db.execute("INSERT INTO marks VALUES (99)")

    await fill_notes_database(tmp_path, "one")
    with pytest.raises(DatabaseCorrupt, match="marks refers to a row of notes"):
        await Database.open(tmp_path, migrations=careless, on_events=ignore_events)
    await fill_notes_database(tmp_path, "two")


async def test_what_must_hold_at_every_open_is_done_with_the_migrations(tmp_path: Path) -> None:
    """`at_open` runs each time, after the tables are there."""

    def guard(connection: sqlite3.Connection) -> None:
        connection.execute("DROP TRIGGER IF EXISTS guard")
        connection.execute(
            "CREATE TRIGGER guard BEFORE DELETE ON notes"
            " BEGIN SELECT RAISE (ABORT, 'notes are kept'); END"
        )

    for _ in range(2):
        database = await Database.open(
            tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events, at_open=guard
        )
        await database.close()
    with connect_directly(tmp_path / "leadmaster.db") as connection:
        connection.execute("INSERT INTO notes (text) VALUES ('x')")
        with pytest.raises(sqlite3.IntegrityError, match="notes are kept"):
            connection.execute("DELETE FROM notes")


async def test_a_migration_that_finds_the_disk_full_says_so(tmp_path: Path) -> None:
    """The person hears `disk_full`, and the file is as before."""
    greedy = Migrations("small")
    greedy()(m001_notes)

    @greedy()
    def m002_greedy(db: SchemaDatabase) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        db.execute("INSERT INTO notes (text) VALUES (hex(zeroblob(100000)))")

    await fill_notes_database(tmp_path, "one")
    with pytest.raises(DiskFull):
        await Database.open(tmp_path, migrations=greedy, on_events=ignore_events)
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["one"]
