"""The writer in trouble: disks that refuse, locks, endless jobs, closing, a loop that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from storage.connections import connect_for_writing, connect_to_file_alone
from storage.db import Database
from storage.errors import DatabaseClosed, DiskFault, DiskFull, WriteFailed
from storage.events import CommittedEvent
from storage.tx import Tx
from storage.writer import Writer
from tests.helpers.process_limits import limit_file_size
from tests.helpers.services.notes_database import (
    NOTES_MIGRATIONS,
    WriterHold,
    add_note,
    connect_directly,
    fill_notes_database,
    hold_writer,
    ignore_events,
    list_note_texts,
    open_notes_database,
    yield_to_tasks,
)

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


async def test_a_refused_commit_fails_its_whole_batch_and_the_writer_lives_on(
    tmp_path: Path,
) -> None:
    """Nobody is told "written", no event is told, and the next transaction works."""
    events: list[CommittedEvent] = []
    async with open_notes_database(tmp_path, events=events) as database:
        await database.write(add_note("before"))
        wal = database.path.with_name(database.path.name + "-wal")
        with limit_file_size(wal.stat().st_size):
            async with hold_writer(database):
                jobs = [asyncio.create_task(database.write(add_note(word))) for word in ("a", "b")]
                await yield_to_tasks()
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert all(isinstance(outcome, WriteFailed) for outcome in outcomes)
        assert await database.read(list_note_texts) == ["before"]
        assert await database.write(add_note("after")) == 2
        assert [event.seq for event in events] == [1, 2]


async def test_a_commit_that_a_deferred_reference_refuses_is_rolled_back(tmp_path: Path) -> None:
    """A commit can also fail with the transaction still open: it does not leak into the next."""

    def orphan(tx: Tx) -> None:
        tx.execute("PRAGMA defer_foreign_keys = ON")
        tx.execute("INSERT INTO marks VALUES (99)")

    async with open_notes_database(tmp_path) as database:
        with pytest.raises(DiskFault, match="FOREIGN KEY"):
            await database.write(orphan)
        await database.write(add_note("after"))
        assert await database.read(list_note_texts) == ["after"]


async def test_a_job_that_finds_the_disk_full_says_so(tmp_path: Path) -> None:
    """A caller hears `disk_full` and what to do, not SQLite's words."""

    def too_much(tx: Tx) -> None:
        tx.execute(f"PRAGMA max_page_count = {tx.value('PRAGMA page_count')}")
        tx.execute("INSERT INTO notes (text) VALUES (hex(zeroblob(100000)))")

    async with open_notes_database(tmp_path) as database:
        with pytest.raises(DiskFull) as caught:
            await database.write(too_much)
        assert caught.value.code == "disk_full"
        assert str(tmp_path) in caught.value.sentence
        assert "Free some space" in caught.value.hint


@contextlib.asynccontextmanager
async def second_writer(database: Database, queue_limit: int = 8) -> AsyncIterator[Writer]:
    """Write to the same file as another program would: without patience for a lock."""

    def impatient() -> sqlite3.Connection:
        connection = connect_for_writing(database.path)
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    writer = Writer(
        impatient,
        ignore_events,
        where=str(database.path),
        queue_limit=queue_limit,
        close_seconds=0.05,
    )
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


async def test_without_a_free_descriptor_it_writes_on(tmp_path: Path) -> None:
    """What the writer looks at is open already; what can't be opened is no swapped database."""
    async with open_notes_database(tmp_path) as database:
        os.utime(database.path, (1, 1))  # no recent change, which would be looked into each time
        await database.write(add_note("one"))
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.closing(connect_to_file_alone(database.path)) as other:
            # SQLite keeps a descriptor of the file for the next who opens it: this one has it now.
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            try:
                await database.write(add_note("two"))
                database.path.touch()  # as after a checkpoint: the file is looked into
                with pytest.raises(DiskFault):
                    await database.write(add_note("three"))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert await database.check_files() is None
        await database.write(add_note("four"))
        assert await database.read(list_note_texts) == ["one", "two", "four"]


async def test_a_lock_held_by_another_program_fails_the_job(tmp_path: Path) -> None:
    """When the transaction can not even begin, the caller is told, and the writer lives on."""
    async with open_notes_database(tmp_path) as database, second_writer(database) as writer:
        async with hold_writer(database):
            with pytest.raises(DiskFault, match="locked"):
                await writer.submit(add_note("never"), urgent=False)
        await writer.submit(add_note("then"), urgent=False)
        assert await database.read(list_note_texts) == ["then"]


async def test_closing_commits_what_has_a_place_and_refuses_the_rest(tmp_path: Path) -> None:
    """Who has a place is served; who waits for one, or comes later, is told Closed."""
    async with (
        open_notes_database(tmp_path) as database,
        second_writer(database, queue_limit=2) as writer,
    ):
        gate = WriterHold()
        holding = asyncio.create_task(writer.submit(gate, urgent=False))
        await gate.wait_until_held()
        placed = asyncio.create_task(writer.submit(add_note("placed"), urgent=False))
        waiting = asyncio.create_task(writer.submit(add_note("waiting"), urgent=False))
        await yield_to_tasks()
        closing = asyncio.create_task(writer.close())
        await yield_to_tasks()
        gate.release()
        await asyncio.gather(closing, holding, placed)
        with pytest.raises(DatabaseClosed):
            await waiting
        with pytest.raises(DatabaseClosed):
            await writer.submit(add_note("late"), urgent=True)
        assert await database.read(list_note_texts) == ["placed"]


async def test_closing_interrupts_a_job_without_end(tmp_path: Path) -> None:
    """A statement that never ends is cut, its caller is told, and the daemon can stop."""
    async with open_notes_database(tmp_path) as database, second_writer(database) as writer:
        endless = asyncio.create_task(writer.submit(lambda tx: tx.value(ENDLESS), urgent=False))
        await yield_to_tasks()
        await writer.close()
        with pytest.raises((sqlite3.OperationalError, WriteFailed), match="interrupted"):
            await endless
        assert await database.read(list_note_texts) == []


async def test_a_writer_that_can_not_connect_says_so_at_the_start(tmp_path: Path) -> None:
    """What opening the connection raises comes out of `start`."""

    def nowhere() -> sqlite3.Connection:
        return connect_for_writing(tmp_path / "nowhere" / "leadmaster.db")

    writer = Writer(nowhere, ignore_events, where="nowhere", queue_limit=1)
    with pytest.raises(sqlite3.OperationalError):
        await writer.start()


async def test_the_beat_moves_with_every_transaction(tmp_path: Path) -> None:
    """A no-op job is enough to tell the watchdog that the writer lives, and it costs no commit."""
    async with open_notes_database(tmp_path) as database:
        before = database.last_batch_at
        await database.write(lambda _tx: None, urgent=True)
        assert before < database.last_batch_at <= time.monotonic()


async def test_a_failing_subscriber_does_not_swallow_answers(tmp_path: Path) -> None:
    """When `on_events` raises, the callers are answered and the loop hears of the error."""

    def broken(_events: Sequence[CommittedEvent]) -> None:
        raise LookupError("a subscriber's own defect")

    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: heard.append(context["exception"])
    )
    database = await Database.open(tmp_path, migrations=NOTES_MIGRATIONS, on_events=broken)
    assert await database.write(add_note("one")) == 1
    await database.close()
    assert [type(error) for error in heard] == [LookupError]


def test_a_loop_that_is_gone_does_not_disturb_the_writer(tmp_path: Path) -> None:
    """A transaction that ends after its loop is committed, though nobody is left to be told."""
    path = tmp_path / "leadmaster.db"
    asyncio.run(fill_notes_database(tmp_path))
    gate = WriterHold()

    def held_note(tx: Tx) -> None:
        add_note("kept")(tx)
        gate(tx)

    async def leave() -> Writer:
        connect = functools.partial(connect_for_writing, path)
        writer = Writer(connect, ignore_events, where=str(path), queue_limit=1)
        await writer.start()
        abandoned = asyncio.create_task(writer.submit(held_note, urgent=False))
        await gate.wait_until_held()
        abandoned.cancel()
        return writer

    writer = asyncio.run(leave())
    gate.release()
    asyncio.run(writer.close())
    with connect_directly(path) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",)]
