"""The writer: group commit, isolation of jobs, lanes and back-pressure."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from storage.errors import DiskFault, JobAborted
from storage.events import CommittedEvent
from storage.tx import Tx
from storage.writer import MAX_BATCH_JOBS
from tests.helpers.services.notes_database import (
    add_note,
    hold_writer,
    list_note_texts,
    open_notes_database,
    yield_to_tasks,
)


async def test_what_waits_is_committed_together(tmp_path: Path) -> None:
    """A hundred callers that wait behind one share its transaction: one sync for all."""
    async with open_notes_database(tmp_path) as database:
        before = database.commits
        async with hold_writer(database, urgent=True):
            jobs = [
                asyncio.create_task(database.write(add_note(str(n)), urgent=True))
                for n in range(100)
            ]
            await yield_to_tasks()
        await asyncio.gather(*jobs)
        assert database.commits - before == 1


async def test_a_batch_has_a_size(tmp_path: Path) -> None:
    """More callers than fit in one batch are committed in the next one, in their order."""
    async with open_notes_database(tmp_path) as database:
        before = database.commits
        async with hold_writer(database, urgent=True):
            jobs = [
                asyncio.create_task(database.write(add_note(str(n)), urgent=True))
                for n in range(MAX_BATCH_JOBS + 10)
            ]
            await yield_to_tasks()
        await asyncio.gather(*jobs)
        assert database.commits - before == 2
        assert await database.read(list_note_texts) == [str(n) for n in range(MAX_BATCH_JOBS + 10)]


async def test_a_failing_job_hurts_nobody_else(tmp_path: Path) -> None:
    """In one batch the neighbours of a failing job are kept, and it is undone as a whole."""

    def half_then_fail(tx: Tx) -> None:
        add_note("half")(tx)
        add_note("one")(tx)  # breaks UNIQUE

    events: list[CommittedEvent] = []
    async with open_notes_database(tmp_path, events=events) as database:
        async with hold_writer(database):
            jobs = [
                asyncio.create_task(database.write(job))
                for job in (add_note("one"), half_then_fail, add_note("two"))
            ]
            await yield_to_tasks()
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert outcomes[0] == 1
        assert isinstance(outcomes[1], sqlite3.IntegrityError)
        assert outcomes[2] == 2
        assert await database.read(list_note_texts) == ["one", "two"]
        assert [event.subject for event in events] == ["one", "two"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, StopIteration, GeneratorExit])
async def test_a_job_can_not_take_the_writer_down(
    tmp_path: Path, kind: type[BaseException]
) -> None:
    """What would end a thread or confuse the loop reaches the caller as an ordinary error."""

    def leave(tx: Tx) -> None:
        add_note("never")(tx)
        raise kind

    async with open_notes_database(tmp_path) as database:
        with pytest.raises(JobAborted, match="given up before it was finished") as caught:
            await database.write(leave)
        assert isinstance(caught.value.__cause__, kind)
        await database.write(add_note("next"))
        assert await database.read(list_note_texts) == ["next"]


async def test_a_job_that_ends_the_transaction_fails_its_batch_honestly(tmp_path: Path) -> None:
    """When SQLite gives up the whole transaction, nobody in it is told that it was written."""

    def give_up(tx: Tx) -> None:
        tx.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('first')")

    async with open_notes_database(tmp_path) as database:
        async with hold_writer(database):
            first = asyncio.create_task(database.write(add_note("first")))
            second = asyncio.create_task(database.write(give_up))
            await yield_to_tasks()
        with pytest.raises(DiskFault, match="UNIQUE constraint failed"):
            await first
        with pytest.raises(sqlite3.IntegrityError):
            await second
        await database.write(add_note("later"))
        assert await database.read(list_note_texts) == ["later"]


async def test_urgent_jobs_overtake_bulk_ones(tmp_path: Path) -> None:
    """What is urgent goes first, although the bulk was there before."""
    async with open_notes_database(tmp_path) as database:
        async with hold_writer(database):
            jobs = [asyncio.create_task(database.write(add_note(f"bulk {n}"))) for n in range(3)]
            await yield_to_tasks()
            jobs.append(asyncio.create_task(database.write(add_note("urgent"), urgent=True)))
            await yield_to_tasks()
        await asyncio.gather(*jobs)
        assert (await database.read(list_note_texts))[0] == "urgent"


async def test_bulk_work_is_cut_into_short_transactions(tmp_path: Path) -> None:
    """A transaction takes no more bulk work once its 20 ms are over."""

    def slow(_tx: Tx) -> None:
        time.sleep(0.025)

    async with open_notes_database(tmp_path) as database:
        async with hold_writer(database, urgent=True):
            before = database.commits
            jobs = [asyncio.create_task(database.write(slow)) for _ in range(3)]
            await yield_to_tasks()
        await asyncio.gather(*jobs)
        assert database.commits - before == 1 + 3  # the first is that of the job that held it


async def test_an_urgent_job_ends_the_bulk_part_of_a_transaction(tmp_path: Path) -> None:
    """Whoever opts out during an import waits for the bulk job that runs, and for no other."""
    running, queued = threading.Event(), threading.Event()

    def first(tx: Tx) -> None:
        running.set()
        queued.wait(5)
        add_note("bulk 1")(tx)

    async with open_notes_database(tmp_path) as database:
        before = database.commits
        bulk = [asyncio.create_task(database.write(job)) for job in (first, add_note("bulk 2"))]
        await asyncio.to_thread(running.wait, 5)
        urgent = asyncio.create_task(database.write(add_note("opt-out"), urgent=True))
        await yield_to_tasks()
        queued.set()
        await asyncio.gather(*bulk, urgent)
        assert await database.read(list_note_texts) == ["bulk 1", "opt-out", "bulk 2"]
        assert database.commits - before == 2


async def test_no_bulk_is_added_behind_an_urgent_job(tmp_path: Path) -> None:
    """An opt-out that comes first is committed by itself, whatever bulk waits behind it."""
    async with open_notes_database(tmp_path) as database:
        before = database.commits
        async with hold_writer(database, urgent=True):
            bulk = asyncio.create_task(database.write(add_note("bulk")))
            await yield_to_tasks()
        await bulk
        assert database.commits - before == 2


async def test_urgent_jobs_without_end_let_bulk_work_through(tmp_path: Path) -> None:
    """After a transaction of urgent jobs alone, the next begins with one job of the bulk."""
    async with open_notes_database(tmp_path) as database:
        async with hold_writer(database, urgent=True):
            jobs = [
                asyncio.create_task(database.write(add_note(str(n)), urgent=True))
                for n in range(3 * MAX_BATCH_JOBS)
            ]
            jobs.append(asyncio.create_task(database.write(add_note("bulk"))))
            await yield_to_tasks()
        await asyncio.gather(*jobs)
        assert (await database.read(list_note_texts)).index("bulk") < MAX_BATCH_JOBS


async def test_a_full_queue_makes_callers_wait(tmp_path: Path) -> None:
    """Beyond the limit a caller waits for a place; when it gives up, its job is never done."""
    async with open_notes_database(tmp_path, queue_limit=2) as database:
        async with hold_writer(database):
            placed = asyncio.create_task(database.write(add_note("placed")))
            waiting = asyncio.create_task(database.write(add_note("waiting")))
            patient = asyncio.create_task(database.write(add_note("patient")))
            await yield_to_tasks()
            waiting.cancel()
            await yield_to_tasks()
        await asyncio.gather(placed, patient)
        assert waiting.cancelled()
        assert await database.read(list_note_texts) == ["placed", "patient"]


async def test_a_full_bulk_lane_does_not_stop_an_opt_out(tmp_path: Path) -> None:
    """Each lane has its own places."""
    async with open_notes_database(tmp_path, queue_limit=1) as database:
        async with hold_writer(database):
            bulk = asyncio.create_task(database.write(add_note("bulk")))
            urgent = asyncio.create_task(database.write(add_note("opt-out"), urgent=True))
            await yield_to_tasks()
        await asyncio.gather(bulk, urgent)
        assert await database.read(list_note_texts) == ["opt-out", "bulk"]


async def test_a_cancelled_caller_does_not_cut_a_transaction(tmp_path: Path) -> None:
    """A job that has its place is done and its event told, whoever still waits for it."""
    events: list[CommittedEvent] = []
    async with open_notes_database(tmp_path, events=events) as database:
        async with hold_writer(database):
            gone = asyncio.create_task(database.write(add_note("gone")))
            stays = asyncio.create_task(database.write(add_note("stays")))
            await yield_to_tasks()
            gone.cancel()
            await yield_to_tasks()
        await stays
        assert await database.read(list_note_texts) == ["gone", "stays"]
        assert [event.subject for event in events] == ["gone", "stays"]
