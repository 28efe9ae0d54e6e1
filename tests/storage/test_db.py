"""The database as the daemon sees it: answers, events, reads, housekeeping."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import stat
import threading
from datetime import timedelta
from functools import partial
from operator import methodcaller
from pathlib import Path

import pytest

from storage import event_log
from storage.connections import ReaderPool
from storage.errors import DatabaseClosed
from storage.events import CommittedEvent
from storage.tx import Reader, Tx
from tests.helpers.services.notes_database import (
    NOON,
    NoteAdded,
    add_note,
    fill_notes_database,
    list_note_texts,
    open_notes_database,
)

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


async def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    """A write's result comes back, and the row is in the file."""
    async with open_notes_database(tmp_path) as database:
        assert await database.write(add_note("hello")) == 1
        assert database.path == tmp_path / "leadmaster.db"
    async with open_notes_database(tmp_path) as database:
        assert await database.read(list_note_texts) == ["hello"]


async def test_events_come_in_order_and_without_holes(tmp_path: Path) -> None:
    """Twenty callers, every third of which fails, leave the numbers 1 to n, told once each."""
    events: list[CommittedEvent] = []

    def failing(tx: Tx) -> None:
        add_note("lost")(tx)
        raise LookupError

    async with open_notes_database(tmp_path, events=events) as database:
        jobs = [failing if n % 3 == 0 else add_note(str(n)) for n in range(60)]
        answers = await asyncio.gather(*map(database.write, jobs), return_exceptions=True)
        numbers = [answer for answer in answers if isinstance(answer, int)]
        assert [event.seq for event in events] == list(range(1, 41))
        assert sorted(numbers) == list(range(1, 41))
        assert await database.high_water() == 40
        assert await database.read(lambda r: event_log.list_events_after(r, 0, 100)) == events


async def test_an_event_is_told_before_its_caller_is_answered(tmp_path: Path) -> None:
    """Who reads its own write's answer finds the event already published."""
    events: list[CommittedEvent] = []
    async with open_notes_database(tmp_path, events=events) as database:
        seq = await database.write(add_note("one"))
        assert events == [CommittedEvent(seq, "note_added", NOON, "one", {"text": "one"})]


async def test_what_follows_a_commit_runs_before_its_events_are_published(tmp_path: Path) -> None:
    """Who hears of a change finds it made; what was undone is followed by nothing."""
    events: list[CommittedEvent] = []
    heard: list[list[CommittedEvent]] = []

    def job(tx: Tx) -> None:
        tx.after_commit.append(lambda: heard.append(list(events)))
        add_note("one")(tx)

    def failing(tx: Tx) -> None:
        tx.after_commit.append(lambda: heard.append([]))
        raise LookupError

    async with open_notes_database(tmp_path, events=events) as database:
        await database.write(job)
        with pytest.raises(LookupError):
            await database.write(failing)
    assert heard == [[]]
    assert len(events) == 1


async def test_an_event_that_is_not_json_fails_its_job(tmp_path: Path) -> None:
    """What could not be replayed is not stored, nor is the change that came with it."""

    def job(tx: Tx) -> None:
        add_note("never")(tx)
        tx.emit(NoteAdded("never", data={"ratio": float("nan")}))

    async with open_notes_database(tmp_path) as database:
        with pytest.raises(ValueError, match="JSON"):
            await database.write(job)
        assert await database.read(list_note_texts) == []
        assert await database.high_water() == 0


async def test_a_reader_sees_only_what_is_committed(tmp_path: Path) -> None:
    """While a transaction is open, reads answer at once, from before it."""
    inserted, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        add_note("coming")(tx)
        inserted.set()
        assert go_on.wait(10)

    async with open_notes_database(tmp_path) as database:
        writing = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(inserted.wait, 10)
        assert await database.read(list_note_texts) == []
        go_on.set()
        await writing
        assert await database.read(list_note_texts) == ["coming"]


async def test_a_read_sees_one_state_throughout(tmp_path: Path) -> None:
    """A commit between two questions of one read does not show in the second."""
    asked, go_on = threading.Event(), threading.Event()

    def twice(reader: Reader) -> tuple[list[str], list[str]]:
        before = list_note_texts(reader)
        asked.set()
        assert go_on.wait(10)
        return before, list_note_texts(reader)

    async with open_notes_database(tmp_path) as database:
        reading = asyncio.create_task(database.read(twice))
        await asyncio.to_thread(asked.wait, 10)
        await database.write(add_note("meanwhile"))
        go_on.set()
        assert await reading == ([], [])


async def test_a_reader_can_not_write(tmp_path: Path) -> None:
    """A query that tries to change something is refused by SQLite itself."""
    async with open_notes_database(tmp_path) as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.read(lambda r: r.all("INSERT INTO notes (text) VALUES ('x')"))


async def test_a_failed_read_gives_its_connection_back(tmp_path: Path) -> None:
    """More failures than there are connections leave all of them usable."""
    async with open_notes_database(tmp_path) as database:
        for _ in range(10):
            with pytest.raises(sqlite3.OperationalError):
                await database.read(lambda r: r.all("SELECT * FROM nowhere"))
        assert await database.read(lambda r: r.one("SELECT 1 WHERE 0")) is None
        assert await database.read(lambda r: r.value("SELECT 1 WHERE 0")) is None


async def test_foreign_keys_hold(tmp_path: Path) -> None:
    """A row that refers to nothing is refused."""
    async with open_notes_database(tmp_path) as database:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await database.write(lambda tx: tx.execute("INSERT INTO marks VALUES (99)").rowcount)


async def test_many_rows_go_in_one_job(tmp_path: Path) -> None:
    """A bulk insert tells how many rows it made."""
    rows = [(str(n),) for n in range(500)]
    async with open_notes_database(tmp_path) as database:
        assert (
            await database.write(
                lambda tx: tx.execute_many("INSERT INTO notes (text) VALUES (?)", rows)
            )
            == 500
        )


async def test_trimming_forgets_the_beginning_only(tmp_path: Path) -> None:
    """Old events go up to the first younger one, and their numbers are never given again."""
    days = [-9, -8, 0, -7]  # the clock jumped back once: the last stays, or there would be a hole
    list_events = partial(event_log.list_events_after, seq=0, limit=9)
    async with open_notes_database(tmp_path) as database:
        for day in days:
            event = NoteAdded(str(day), at=NOON + timedelta(days=day))
            await database.write(methodcaller("emit", event))
        assert await database.trim_events(NOON) == 2
        assert [event.seq for event in await database.read(list_events)] == [3, 4]
        assert await database.trim_events(NOON + timedelta(days=1)) == 2
        assert await database.read(list_events) == []
        assert await database.high_water() == 4
        assert await database.write(add_note("next")) == 5


async def test_trimming_many_events_takes_many_small_jobs(tmp_path: Path) -> None:
    """A long log is forgotten in steps, between which urgent work has its turn."""

    def many(tx: Tx) -> None:
        for n in range(1200):
            tx.emit(NoteAdded(str(n)))

    async with open_notes_database(tmp_path) as database:
        await database.write(many)
        before = database.commits
        assert await database.trim_events(NOON + timedelta(days=1)) == 1200
        assert database.commits - before == 4


async def test_a_checkpoint_empties_the_log(tmp_path: Path) -> None:
    """After a checkpoint everything is in the file itself."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        wal = tmp_path / "leadmaster.db-wal"
        assert wal.stat().st_size > 0
        await database.checkpoint()
        assert wal.stat().st_size == 0


async def test_a_checkpoint_without_a_cut_moves_all_and_lets_the_log_be_filled_again(
    tmp_path: Path,
) -> None:
    """The file has everything then, and what is written next makes the log no longer."""
    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        wal = tmp_path / "leadmaster.db-wal"
        size = wal.stat().st_size
        await database.checkpoint(cut=False)
        alone = f"{(tmp_path / 'leadmaster.db').as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(alone, uri=True)) as connection:
            assert connection.execute("SELECT text FROM notes").fetchall() == [("one",)]
        assert wal.stat().st_size == size
        await database.write(add_note("two"))
        assert 0 < wal.stat().st_size <= size


async def test_a_checkpoint_gives_way_to_a_reader(tmp_path: Path) -> None:
    """A read that still needs the log is no error: the next checkpoint will do it."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(reader: Reader) -> list[str]:
        found = list_note_texts(reader)
        asked.set()
        assert go_on.wait(10)
        return found

    async with open_notes_database(tmp_path) as database:
        await database.write(add_note("one"))
        reading = asyncio.create_task(database.read(slow))
        await asyncio.to_thread(asked.wait, 10)
        await database.write(add_note("two"))
        await database.checkpoint()
        go_on.set()
        assert await reading == ["one"]


async def test_after_a_clean_stop_the_file_alone_is_the_database(tmp_path: Path) -> None:
    """No log is left beside it, and nobody else may read any of it."""
    await fill_notes_database(tmp_path / "state", "one")
    left = {path.name: path for path in (tmp_path / "state").iterdir()}
    assert sorted(left) == [
        "leadmaster.anchor",
        "leadmaster.db",
        "leadmaster.lock",
        "suppressions.key",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in left.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_a_closed_database_answers_closed(tmp_path: Path) -> None:
    """Neither reads nor writes are taken after `close`, and it may be called twice."""
    async with open_notes_database(tmp_path) as database:
        await database.close()
        with pytest.raises(DatabaseClosed):
            await database.read(list_note_texts)
        with pytest.raises(DatabaseClosed) as caught:
            await database.write(add_note("late"))
        assert caught.value.code == "closed"


async def test_closing_interrupts_a_query_without_end(tmp_path: Path) -> None:
    """A read that never ends does not keep the daemon from stopping."""
    await fill_notes_database(tmp_path)
    readers = ReaderPool(tmp_path / "leadmaster.db", close_seconds=0.05)
    endless = asyncio.create_task(readers.read(lambda r: r.value(ENDLESS)))
    await asyncio.sleep(0)
    await readers.close()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        await endless
