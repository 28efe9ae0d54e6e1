"""Migrations: forward only, all or nothing, after a copy."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlite_utils import Database as SchemaDatabase

from storage import contacts
from storage.contacts import Alias, AliasKind
from storage.db import Database
from storage.errors import DatabaseCorrupt, DatabaseNewer, DatabaseOutdated, DiskFull
from storage.integrity import check_state_folder
from storage.migrations import SchemaMigrations
from storage.opening import adopt_database
from storage.schema_steps import MIGRATIONS
from storage.state_folder import StateFolder
from storage.triggers import install_triggers
from storage.tx import Tx
from tests.helpers.services.database import open_database
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
    broken = SchemaMigrations("small")
    broken.add(m001_notes)

    @broken.add
    def m002_half(db: SchemaDatabase) -> None:
        db.execute("ALTER TABLE notes ADD COLUMN half TEXT")

    @broken.add
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
    rebuilt = SchemaMigrations("small")
    rebuilt.add(m001_notes)

    @rebuilt.add
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
    careless = SchemaMigrations("small")
    careless.add(m001_notes)

    @careless.add
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
    greedy = SchemaMigrations("small")
    greedy.add(m001_notes)

    @greedy.add
    def m002_greedy(db: SchemaDatabase) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        db.execute("INSERT INTO notes (text) VALUES (hex(zeroblob(100000)))")

    await fill_notes_database(tmp_path, "one")
    with pytest.raises(DiskFull):
        await Database.open(tmp_path, migrations=greedy, on_events=ignore_events)
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["one"]


def test_the_schema_is_released_and_steps_follow() -> None:
    """A change since the first release is a further step, each with its number."""
    with contextlib.closing(sqlite3.connect(":memory:")) as empty:
        first, *others = MIGRATIONS.list_pending(empty)
    assert (first, others) == (
        "m001_schema",
        [
            "m002_outcome_changes",
            "m003_halts_that_let_replies_go",
            "m004_private_contacts",
            "m005_outcomes_of_messages_and_clients",
            "m006_texts",
            "m007_alerts",
            "m008_campaigns",
            "m009_deliveries",
            "m010_access_and_number_budgets",
            "m011_invites",
            "m012_saved_filters",
        ],
    )


ADDED_LATER = SchemaMigrations("leadmaster", dict(MIGRATIONS.steps))


@ADDED_LATER.add
def m999_made_up(db: SchemaDatabase) -> None:
    """Change a table of the product, as the next migration after a release would."""
    db.execute("ALTER TABLE contacts ADD COLUMN made_up TEXT NOT NULL DEFAULT 'filled in'")


def add_message(tx: Tx) -> None:
    """Enter a contact and a queued message to it."""
    contact = contacts.resolve_contact(tx, [Alias("+34600000001", "a0", AliasKind.PHONE)], NOON)
    at = "2026-03-02T12:00:00.000Z"
    tx.execute(
        "INSERT INTO sessions (name, channel, time_zone, since, created_at)"
        " VALUES ('main', 'simulated', 'UTC', ?, ?)",
        (at, at),
    )
    tx.execute(
        "INSERT INTO messages (id, request_hash, contact, recipient, session, channel, text,"
        " body_hash, created_at, changed_at, not_after)"
        " VALUES ('msg_1', '', ?, '+34600000001', 'main', 'simulated', 'x', 'h', ?, ?, ?)",
        (contact, at, at, at),
    )


async def test_the_products_schema_takes_a_second_migration(tmp_path: Path) -> None:
    """Rows stay, a copy is made first, the triggers hold, and the version before refuses it."""
    async with open_database(tmp_path) as database:
        await database.write(add_message)
    database = await Database.open(
        tmp_path,
        migrations=ADDED_LATER,
        on_events=ignore_events,
        at_open=install_triggers,
        now=lambda: NOON,
    )
    assert await database.read(lambda r: r.value("SELECT made_up FROM contacts")) == "filled in"
    assert await database.read(lambda r: r.value("SELECT id FROM messages")) == "msg_1"
    with pytest.raises(sqlite3.IntegrityError, match="not in the declaration of a message"):
        await database.write(
            lambda tx: tx.execute("UPDATE messages SET state = 'confirmed_by_hand'").rowcount
        )
    await database.close()
    with connect_directly(
        tmp_path / "backups" / "before-m999_made_up-20260302T120000Z.db"
    ) as connection:
        assert connection.execute("SELECT id FROM messages").fetchall() == [("msg_1",)]
        with pytest.raises(sqlite3.OperationalError, match="made_up"):
            connection.execute("SELECT made_up FROM contacts")
    with pytest.raises(DatabaseNewer, match="m999_made_up"):
        async with open_database(tmp_path):
            pass


async def open_as_daemon(folder: Path) -> None:
    """Open the database as a daemon does."""
    async with open_database(folder):
        pass


async def check_as_doctor(folder: Path) -> None:
    """Check the folder as the doctor does."""
    check_state_folder(StateFolder(folder), MIGRATIONS)


async def adopt(folder: Path) -> None:
    """Adopt the database as a person does."""
    adopt_database(folder, "a test", migrations=MIGRATIONS, settle=lambda _tx: None)


@pytest.mark.parametrize("use", [open_as_daemon, check_as_doctor, adopt])
async def test_a_database_from_before_the_first_release_is_refused_and_left_alone(
    tmp_path: Path, use: Callable[[Path], Awaitable[None]]
) -> None:
    """Its tables are other ones; what it holds is exported by the version that made it."""
    await open_as_daemon(tmp_path)
    with connect_directly(tmp_path / "leadmaster.db") as connection, connection:
        connection.execute("DELETE FROM _sqlite_migrations WHERE name <> 'm001_schema'")
        connection.execute("UPDATE _sqlite_migrations SET name = 'm001_first_tables'")
    before = (tmp_path / "leadmaster.db").read_bytes()
    with pytest.raises(DatabaseOutdated, match="from before the first release") as refused:
        await use(tmp_path)
    assert refused.value.code == "database_outdated"
    assert "prospects export" in refused.value.hint
    assert (tmp_path / "leadmaster.db").read_bytes() == before
    assert not (tmp_path / "backups").exists()
