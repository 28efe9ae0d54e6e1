"""Whatever becomes of a database, no connection, thread or descriptor of it is left open."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.connections import ReaderPool, connect_for_writing
from storage.db import Database
from storage.errors import DatabaseClosed, DatabaseInUse, StorageError
from storage.integrity import check_state_folder
from storage.opening import adopt_database
from storage.state_folder import StateFolder
from storage.tx import Reader
from storage.writer import Writer
from tests.helpers.leaks import assert_none_left_open, list_descriptors, list_open_connections
from tests.helpers.services.notes_database import (
    NEWER_NOTES_MIGRATIONS,
    NOTES_MIGRATIONS,
    add_note,
    connect_directly,
    fill_notes_database,
    ignore_events,
    list_note_texts,
    open_notes_database,
    yield_to_tasks,
)

Damage = Callable[[Path], None]


def no_database(folder: Path) -> None:
    """Put a text in the database's place."""
    (folder / "leadmaster.db").write_text("not a database " * 100, encoding="utf-8")


def torn(folder: Path) -> None:
    """Cut the file in the middle."""
    path = folder / "leadmaster.db"
    os.truncate(path, path.stat().st_size // 2)


def of_another_program(folder: Path) -> None:
    """Change whose file it says it is."""
    with connect_directly(folder / "leadmaster.db") as connection:
        connection.execute("PRAGMA application_id = 7")


def copied(folder: Path) -> None:
    """Put a copy in the place of the file that the anchor knows."""
    path = folder / "leadmaster.db"
    path.with_suffix(".copy").write_bytes(path.read_bytes())
    path.with_suffix(".copy").replace(path)


def orphaned(folder: Path) -> None:
    """Let a row refer to nothing: the migration that follows is taken back."""
    with connect_directly(folder / "leadmaster.db") as connection, connection:
        connection.execute("INSERT INTO marks VALUES (99)")


def without_key(folder: Path) -> None:
    """Lose the key of the opt-outs."""
    (folder / "suppressions.key").unlink()


def without_database(folder: Path) -> None:
    """Lose the file itself."""
    (folder / "leadmaster.db").unlink()


@pytest.mark.parametrize(
    "damage",
    [no_database, torn, of_another_program, copied, orphaned, without_key, without_database],
)
async def test_a_refused_database_leaves_nothing_open(damage: Damage, tmp_path: Path) -> None:
    """However often it is tried: by a daemon, by the doctor, or by whoever wants to adopt it."""
    await fill_notes_database(tmp_path, "one")
    damage(tmp_path)
    with assert_none_left_open():
        for _ in range(3):
            with pytest.raises(StorageError):
                await Database.open(
                    tmp_path, migrations=NEWER_NOTES_MIGRATIONS, on_events=ignore_events
                )
            with contextlib.suppress(StorageError):
                check_state_folder(StateFolder(tmp_path), NEWER_NOTES_MIGRATIONS)
    with assert_none_left_open(), contextlib.suppress(StorageError):
        adopt_database(
            tmp_path, "a test", migrations=NEWER_NOTES_MIGRATIONS, settle=lambda _tx: None
        )


async def test_a_database_of_a_newer_version_leaves_nothing_open(tmp_path: Path) -> None:
    """It is looked into before it is refused."""
    async with open_notes_database(tmp_path, migrations=NEWER_NOTES_MIGRATIONS):
        pass
    with assert_none_left_open(), pytest.raises(StorageError):
        await Database.open(tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events)


async def test_a_daemon_that_comes_second_leaves_nothing_open(tmp_path: Path) -> None:
    """The lock that it did not get is let go."""
    async with open_notes_database(tmp_path):
        with assert_none_left_open(), pytest.raises(DatabaseInUse):
            await Database.open(tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events)


async def test_open_use_and_close_leave_nothing_open(tmp_path: Path) -> None:
    """A backup before a migration, a checkpoint and an anchor included."""
    await fill_notes_database(tmp_path, "one")
    with assert_none_left_open():
        for _ in range(3):
            async with open_notes_database(tmp_path, migrations=NEWER_NOTES_MIGRATIONS) as database:
                await database.checkpoint()
                await database.save_high_water()
                assert await database.read(list_note_texts) == ["one"]


async def test_what_is_done_at_the_opening_and_fails_leaves_nothing_open(tmp_path: Path) -> None:
    """The transaction of the migrations is taken back, and its connection closed."""

    def failing(_connection: sqlite3.Connection) -> None:
        raise LookupError("a defect")

    with assert_none_left_open(), pytest.raises(LookupError):
        await Database.open(
            tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events, at_open=failing
        )
    await fill_notes_database(tmp_path, "fine")


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let the process open only so many more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = list_descriptors()
    free = (number for number in itertools.count() if number not in taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, count, None)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_an_opening_that_runs_out_of_descriptors_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    """Whichever of its connections is the one too many; what was opened before it is closed."""
    await fill_notes_database(tmp_path, "one")
    refusals = 0
    for count in range(40):
        with assert_none_left_open(), contextlib.suppress(StorageError, sqlite3.Error, OSError):
            refusals += 1
            with descriptors_left(count):
                database = await Database.open(
                    tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events
                )
            refusals -= 1
            await database.close()
    assert 3 < refusals < 35


async def test_a_start_that_is_given_up_keeps_the_folder_until_nobody_works_on_it(
    tmp_path: Path,
) -> None:
    """The migrations can't be stopped half-way: a second daemon must not begin beside them."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(_connection: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    with assert_none_left_open():
        opening = asyncio.create_task(
            Database.open(
                tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events, at_open=slow
            )
        )
        await asyncio.to_thread(begun.wait, 10)
        opening.cancel()
        await yield_to_tasks()
        with pytest.raises(DatabaseInUse):
            await Database.open(tmp_path, migrations=NOTES_MIGRATIONS, on_events=ignore_events)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await fill_notes_database(tmp_path, "fine")


async def test_a_writer_whose_start_is_given_up_closes_what_it_opens(tmp_path: Path) -> None:
    """It opens its connection in its thread, and may be done only when nobody waits any more."""
    await fill_notes_database(tmp_path)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> sqlite3.Connection:
        begun.set()
        assert go_on.wait(10)
        return connect_for_writing(tmp_path / "leadmaster.db")

    with assert_none_left_open():
        starting = asyncio.create_task(
            Writer(slow, ignore_events, where="here", queue_limit=1).start()
        )
        await asyncio.to_thread(begun.wait, 10)
        starting.cancel()
        await yield_to_tasks()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await starting


async def test_a_writer_says_whatever_kept_it_from_starting() -> None:
    """Not only what SQLite says: else `start` would wait for ever."""

    def defective() -> sqlite3.Connection:
        raise LookupError("a defect")

    with pytest.raises(LookupError):
        await Writer(defective, ignore_events, where="here", queue_limit=1).start()


async def test_readers_whose_closing_is_cut_short_close_all_the_same(tmp_path: Path) -> None:
    """A second Ctrl-C ends the waiting for a query: the query is interrupted."""
    await fill_notes_database(tmp_path)
    known = list_open_connections()
    readers = ReaderPool(tmp_path / "leadmaster.db")
    begun = threading.Event()

    def endless(reader: Reader) -> object:
        begun.set()
        return reader.value(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
        )

    reading = asyncio.create_task(readers.read(endless))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.create_task(readers.close())
    await yield_to_tasks()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await reading
    await asyncio.get_running_loop().shutdown_default_executor()
    assert [each for each in list_open_connections() if each not in known] == []


async def test_closing_waits_for_a_checkpoint_whose_caller_went_away(tmp_path: Path) -> None:
    """The folder is let go once nobody has the database open; later ones are told Closed."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
    with assert_none_left_open():
        async with open_notes_database(tmp_path) as database:
            given_up = asyncio.create_task(database.checkpoint())
            await yield_to_tasks()
            given_up.cancel()
        with pytest.raises(DatabaseClosed):
            await database.checkpoint()
        with pytest.raises(DatabaseClosed):
            await database.save_high_water()


async def test_a_connection_that_is_only_forgotten_is_seen(tmp_path: Path) -> None:
    """On every Python: the collector closes it, and before 3.13 it says nothing."""
    await fill_notes_database(tmp_path)
    known = list_open_connections()
    with pytest.raises(AssertionError), assert_none_left_open():
        connect_for_writing(tmp_path / "leadmaster.db")
    [forgotten] = [each for each in list_open_connections() if each not in known]
    forgotten.close()
