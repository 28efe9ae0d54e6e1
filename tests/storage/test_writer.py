"""The writer: group commit, isolation of jobs, lanes, back-pressure, and disks that refuse."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from storage.connections import connect_for_writing
from storage.db import Database
from storage.errors import Closed, DiskFault, DiskFull, JobAborted, WriteFailed
from storage.events import CommittedEvent
from storage.tx import Tx
from storage.writer import BATCH_JOBS, Writer
from tests.storage.small import (
    MIGRATIONS,
    filled,
    ignore,
    no_file_grows_beyond,
    noting,
    opened,
    straight,
    texts,
)

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


class Gate:
    """A job that holds the writer until it is let go, so that others gather behind it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _tx: Tx) -> None:
        """Wait in the writer's thread."""
        self._entered.set()
        assert self._open.wait(10)

    async def entered(self) -> None:
        """Wait until the writer is held."""
        assert await asyncio.to_thread(self._entered.wait, 10)

    def open(self) -> None:
        """Let the writer go."""
        self._open.set()


@contextlib.asynccontextmanager
async def held(database: Database, *, urgent: bool = False) -> AsyncIterator[None]:
    """Hold the writer inside; let it go at the end, whatever becomes of its transaction."""
    gate = Gate()
    holding = asyncio.create_task(database.write(gate, urgent=urgent))
    await gate.entered()
    try:
        yield
    finally:
        gate.open()
        await asyncio.gather(holding, return_exceptions=True)


async def turns(count: int = 5) -> None:
    """Let tasks that can run, run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    """A hundred callers that wait behind one share its transaction: one sync for all."""
    async with opened(tmp_path) as database:
        before = database.commits
        async with held(database, urgent=True):
            jobs = [
                asyncio.create_task(database.write(noting(str(n)), urgent=True)) for n in range(100)
            ]
            await turns()
        await asyncio.gather(*jobs)
        assert database.commits - before == 1


async def test_a_batch_has_a_size(tmp_path: Path) -> None:
    """More callers than fit in one batch are committed in the next one, in their order."""
    async with opened(tmp_path) as database:
        before = database.commits
        async with held(database, urgent=True):
            jobs = [
                asyncio.create_task(database.write(noting(str(n)), urgent=True))
                for n in range(BATCH_JOBS + 10)
            ]
            await turns()
        await asyncio.gather(*jobs)
        assert database.commits - before == 2
        assert await database.read(texts) == [str(n) for n in range(BATCH_JOBS + 10)]


async def test_a_failing_job_hurts_nobody_else(tmp_path: Path) -> None:
    """In one batch the neighbours of a failing job are kept, and it is undone as a whole."""

    def half_then_fail(tx: Tx) -> None:
        noting("half")(tx)
        noting("one")(tx)  # breaks UNIQUE

    events: list[CommittedEvent] = []
    async with opened(tmp_path, events=events) as database:
        async with held(database):
            jobs = [
                asyncio.create_task(database.write(job))
                for job in (noting("one"), half_then_fail, noting("two"))
            ]
            await turns()
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert outcomes[0] == 1
        assert isinstance(outcomes[1], sqlite3.IntegrityError)
        assert outcomes[2] == 2
        assert await database.read(texts) == ["one", "two"]
        assert [event.subject for event in events] == ["one", "two"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit])
async def test_a_job_can_not_take_the_writer_down(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    """What would end a thread or confuse the loop reaches the caller as an ordinary error."""

    def leave(tx: Tx) -> None:
        noting("never")(tx)
        raise kind

    async with opened(tmp_path) as database:
        with pytest.raises(JobAborted, match=kind.__name__) as caught:
            await database.write(leave)
        assert isinstance(caught.value.__cause__, kind)
        await database.write(noting("next"))
        assert await database.read(texts) == ["next"]


async def test_a_job_that_ends_the_transaction_fails_its_batch_honestly(tmp_path: Path) -> None:
    """When SQLite gives up the whole transaction, nobody in it is told that it was written."""

    def give_up(tx: Tx) -> None:
        tx.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('first')")

    async with opened(tmp_path) as database:
        async with held(database):
            first = asyncio.create_task(database.write(noting("first")))
            second = asyncio.create_task(database.write(give_up))
            await turns()
        with pytest.raises(DiskFault):
            await first
        with pytest.raises(sqlite3.IntegrityError):
            await second
        await database.write(noting("later"))
        assert await database.read(texts) == ["later"]


async def test_urgent_jobs_overtake_bulk_ones(tmp_path: Path) -> None:
    """What is urgent goes first, although the bulk was there before."""
    async with opened(tmp_path) as database:
        async with held(database):
            jobs = [asyncio.create_task(database.write(noting(f"bulk {n}"))) for n in range(3)]
            await turns()
            jobs.append(asyncio.create_task(database.write(noting("urgent"), urgent=True)))
            await turns()
        await asyncio.gather(*jobs)
        assert (await database.read(texts))[0] == "urgent"


async def test_bulk_work_is_cut_into_short_transactions(tmp_path: Path) -> None:
    """A transaction takes no more bulk work once its 20 ms are over."""

    def slow(_tx: Tx) -> None:
        time.sleep(0.025)

    async with opened(tmp_path) as database:
        async with held(database, urgent=True):
            before = database.commits
            jobs = [asyncio.create_task(database.write(slow)) for _ in range(3)]
            await turns()
        await asyncio.gather(*jobs)
        assert database.commits - before == 3


async def test_a_full_queue_makes_callers_wait(tmp_path: Path) -> None:
    """Beyond the limit a caller waits for a place; when it gives up, its job is never done."""
    async with opened(tmp_path, queue_limit=2) as database:
        async with held(database):
            placed = asyncio.create_task(database.write(noting("placed")))
            waiting = asyncio.create_task(database.write(noting("waiting")))
            patient = asyncio.create_task(database.write(noting("patient")))
            await turns()
            waiting.cancel()
            await turns()
        await asyncio.gather(placed, patient)
        assert waiting.cancelled()
        assert await database.read(texts) == ["placed", "patient"]


async def test_a_full_bulk_lane_does_not_stop_an_opt_out(tmp_path: Path) -> None:
    """Each lane has its own places."""
    async with opened(tmp_path, queue_limit=1) as database:
        async with held(database):
            bulk = asyncio.create_task(database.write(noting("bulk")))
            urgent = asyncio.create_task(database.write(noting("opt-out"), urgent=True))
            await turns()
        await asyncio.gather(bulk, urgent)
        assert await database.read(texts) == ["opt-out", "bulk"]


async def test_a_cancelled_caller_does_not_cut_a_transaction(tmp_path: Path) -> None:
    """A job that has its place is done and its event told, whoever still waits for it."""
    events: list[CommittedEvent] = []
    async with opened(tmp_path, events=events) as database:
        async with held(database):
            gone = asyncio.create_task(database.write(noting("gone")))
            stays = asyncio.create_task(database.write(noting("stays")))
            await turns()
            gone.cancel()
            await turns()
        await stays
        assert await database.read(texts) == ["gone", "stays"]
        assert [event.subject for event in events] == ["gone", "stays"]


async def test_a_refused_commit_fails_its_whole_batch_and_the_writer_lives_on(
    tmp_path: Path,
) -> None:
    """Nobody is told "written", no event is told, and the next transaction works."""
    events: list[CommittedEvent] = []
    async with opened(tmp_path, events=events) as database:
        await database.write(noting("before"))
        wal = database.path.with_name(database.path.name + "-wal")
        with no_file_grows_beyond(wal.stat().st_size):
            async with held(database):
                jobs = [asyncio.create_task(database.write(noting(word))) for word in ("a", "b")]
                await turns()
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert all(isinstance(outcome, WriteFailed) for outcome in outcomes)
        assert await database.read(texts) == ["before"]
        assert await database.write(noting("after")) == 2
        assert [event.seq for event in events] == [1, 2]


async def test_a_job_that_finds_the_disk_full_says_so(tmp_path: Path) -> None:
    """A caller hears `disk_full` and what to do, not SQLite's words."""

    def too_much(tx: Tx) -> None:
        tx.execute(f"PRAGMA max_page_count = {tx.value('PRAGMA page_count')}")
        tx.execute("INSERT INTO notes (text) VALUES (hex(zeroblob(100000)))")

    async with opened(tmp_path) as database:
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
        ignore,
        where=str(database.path),
        queue_limit=queue_limit,
        close_seconds=0.05,
    )
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


async def test_a_lock_held_by_another_program_fails_the_job(tmp_path: Path) -> None:
    """When the transaction can not even begin, the caller is told, and the writer lives on."""
    async with opened(tmp_path) as database, second_writer(database) as writer:
        async with held(database):
            with pytest.raises(DiskFault, match="locked"):
                await writer.submit(noting("never"), urgent=False)
        await writer.submit(noting("then"), urgent=False)
        assert await database.read(texts) == ["then"]


async def test_closing_commits_what_has_a_place_and_refuses_the_rest(tmp_path: Path) -> None:
    """Who has a place is served; who waits for one, or comes later, is told Closed."""
    async with opened(tmp_path) as database, second_writer(database, queue_limit=2) as writer:
        gate = Gate()
        holding = asyncio.create_task(writer.submit(gate, urgent=False))
        await gate.entered()
        placed = asyncio.create_task(writer.submit(noting("placed"), urgent=False))
        waiting = asyncio.create_task(writer.submit(noting("waiting"), urgent=False))
        await turns()
        closing = asyncio.create_task(writer.close())
        await turns()
        gate.open()
        await asyncio.gather(closing, holding, placed)
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await writer.submit(noting("late"), urgent=True)
        assert await database.read(texts) == ["placed"]


async def test_closing_interrupts_a_job_without_end(tmp_path: Path) -> None:
    """A statement that never ends is cut, its caller is told, and the daemon can stop."""
    async with opened(tmp_path) as database, second_writer(database) as writer:
        endless = asyncio.create_task(writer.submit(lambda tx: tx.value(ENDLESS), urgent=False))
        await turns()
        await writer.close()
        with pytest.raises((sqlite3.OperationalError, WriteFailed), match="interrupted"):
            await endless
        assert await database.read(texts) == []


async def test_a_writer_that_can_not_connect_says_so_at_the_start(tmp_path: Path) -> None:
    """What opening the connection raises comes out of `start`."""

    def nowhere() -> sqlite3.Connection:
        return connect_for_writing(tmp_path / "nowhere" / "leadmaster.db")

    writer = Writer(nowhere, ignore, where="nowhere", queue_limit=1)
    with pytest.raises(sqlite3.OperationalError):
        await writer.start()


async def test_the_beat_moves_with_every_transaction(tmp_path: Path) -> None:
    """A no-op job is enough to tell the watchdog that the writer lives, and it costs no commit."""
    async with opened(tmp_path) as database:
        before = database.beat
        await database.write(lambda _tx: None, urgent=True)
        assert before < database.beat <= time.monotonic()


async def test_a_failing_subscriber_does_not_swallow_answers(tmp_path: Path) -> None:
    """When `on_events` raises, the callers are answered and the loop hears of the error."""

    def broken(_events: Sequence[CommittedEvent]) -> None:
        raise LookupError("a subscriber's own defect")

    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: heard.append(context["exception"])
    )
    database = await Database.open(tmp_path, migrations=MIGRATIONS, on_events=broken)
    assert await database.write(noting("one")) == 1
    await database.close()
    assert [type(error) for error in heard] == [LookupError]


def test_a_loop_that_is_gone_does_not_disturb_the_writer(tmp_path: Path) -> None:
    """A transaction that ends after its loop is committed, though nobody is left to be told."""
    path = tmp_path / "leadmaster.db"
    asyncio.run(filled(tmp_path))
    gate = Gate()

    def held_note(tx: Tx) -> None:
        noting("kept")(tx)
        gate(tx)

    async def leave() -> Writer:
        connect = functools.partial(connect_for_writing, path)
        writer = Writer(connect, ignore, where=str(path), queue_limit=1)
        await writer.start()
        abandoned = asyncio.create_task(writer.submit(held_note, urgent=False))
        await gate.entered()
        abandoned.cancel()
        return writer

    writer = asyncio.run(leave())
    gate.open()
    asyncio.run(writer.close())
    with straight(path) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",)]
