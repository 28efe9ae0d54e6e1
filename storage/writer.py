"""The only thread that writes: it commits all waiting jobs as one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

from msgspec import Struct, field

from storage.connections import INTERRUPT_CHECK_STEPS, leave_open
from storage.errors import DatabaseClosed, DiskFault, JobAborted, WriteFailed, classify_disk_error
from storage.events import CommittedEvent
from storage.replacement import ReplacementWatch
from storage.tx import Tx

T = TypeVar("T")

MAX_BATCH_JOBS: Final = 256  # of each lane, in one transaction
MAX_BULK_SECONDS: Final = 0.020  # for bulk jobs in one transaction, so that urgent ones wait little
WRITER_CLOSE_SECONDS: Final = 10.0


class _Lane:
    """A queue with a bounded number of places; callers wait for a free one."""

    def __init__(self, places: int) -> None:
        self.waiting: deque[_Job] = deque()
        self.places = asyncio.Semaphore(places)


class _Job(Struct, eq=False):
    """A caller's work, and the future that is resolved after the commit."""

    work: Callable[[Tx], object]
    lane: _Lane
    answer: asyncio.Future[Any]
    result: object = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Resolve the caller's future and free the place in the queue (on the loop)."""
        self.lane.places.release()
        if self.answer.done():
            return  # the caller was cancelled; the work is committed all the same
        if self.error is None:
            self.answer.set_result(self.result)
        else:
            self.answer.set_exception(self.error)


class _Batch(Struct):
    """The jobs of one transaction, what follows its commit, and the events that they emitted."""

    jobs: list[_Job] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    events: list[CommittedEvent] = field(default_factory=list)
    urgent_left: int = MAX_BATCH_JOBS
    bulk_left: int = MAX_BATCH_JOBS
    bulk_until: float | None = None
    """Monotonic seconds after which no further bulk job is taken; set at the first one."""

    def fail(self, error: WriteFailed) -> None:
        """Fail every job of the batch; a job that failed by itself keeps its own error."""
        self.after_commit.clear()
        self.events.clear()
        for job in self.jobs:
            job.error = job.error or error


class Writer:
    """Runs write jobs by group commit: one transaction for all that wait, a savepoint for each.

    A job that fails loses its own changes only. Urgent jobs come first, and no bulk job is added
    behind one in its transaction.
    """

    # Group commit needs no timer: while one batch is being written, the next one gathers.

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        publish: Callable[[Sequence[CommittedEvent]], None],
        *,
        where: str,
        queue_limit: int,
        close_seconds: float = WRITER_CLOSE_SECONDS,
        watch: ReplacementWatch | None = None,
    ) -> None:
        """Prepare a writer; `start` starts it. `where` names the database in errors.

        With a `watch`, nothing is written any more once the files were replaced. `publish` is
        called on the loop, after the commit, right before the jobs' futures resolve.
        """
        self._watch = watch
        self._connect = connect
        self._publish = publish
        self._where = where
        self._close_seconds = close_seconds
        self._urgent = _Lane(queue_limit)
        self._bulk = _Lane(queue_limit)
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._wake = threading.Event()
        self._closing = self._interrupted = False
        self._bulk_waited = False
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self.commits = 0
        """How many transactions were committed."""
        self.last_batch_at = time.monotonic()
        """Monotonic seconds at which the last batch was committed or rolled back."""

    async def start(self) -> None:
        """Start the thread, which opens its own connection. Raises what that raised."""
        self._thread.start()
        try:
            await self._started
        except BaseException:
            # Cancelled, for one: the thread must not outlive a start that was given up.
            await self.close()
            raise

    async def submit(self, work: Callable[[Tx], T], *, urgent: bool) -> T:
        """Wait for a place in the queue and for the commit; return what the work returned.

        Once it has a place the work is run, even if the caller is cancelled. Raises what the work
        raised, WriteFailed when the disk refused, DatabaseClosed after `close`.
        """
        lane = self._urgent if urgent else self._bulk
        await lane.places.acquire()
        # Checked after waiting: the writer may have been closed meanwhile.
        if self._closing:
            lane.places.release()
            raise DatabaseClosed
        job = _Job(work, lane, self._loop.create_future())
        lane.waiting.append(job)
        self._wake.set()
        return cast("T", await job.answer)

    async def close(self) -> None:
        """Refuse new jobs, commit the waiting ones, end the thread.

        A job that still runs after `close_seconds` is interrupted.
        """
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, self._close_seconds)
        self._interrupted = True
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, self._close_seconds)

    def _run(self) -> None:
        try:
            connection = self._connect()
            try:
                if self._watch is not None:
                    self._watch.begin(connection)
            except BaseException:
                self._close_connection(connection)
                raise
        except Exception as error:  # noqa: BLE001 - whatever it is, `start` raises it
            self._loop.call_soon_threadsafe(self._report_start, error)
            return
        try:
            connection.set_progress_handler(lambda: self._interrupted, INTERRUPT_CHECK_STEPS)
            self._loop.call_soon_threadsafe(self._report_start, None)
            self._process_jobs(connection)
        finally:
            self._close_connection(connection)

    def _close_connection(self, connection: sqlite3.Connection) -> None:
        """Close the connection, unless the files are not those that it has open."""
        if self._watch is not None:
            with contextlib.suppress(OSError, WriteFailed):
                self._watch.check_files()
            self._watch.close_log()
            if self._watch.fault is not None:
                leave_open(connection)
                return
        connection.close()

    def _report_start(self, error: Exception | None) -> None:
        """Resolve the future that `start` awaits, unless it was cancelled (on the loop)."""
        if self._started.done():
            return
        if error is None:
            self._started.set_result(None)
        else:
            self._started.set_exception(error)

    def _process_jobs(self, connection: sqlite3.Connection) -> None:
        """Commit batches until the writer is closed (in the thread)."""
        last_round = False
        while not last_round:
            self._wake.wait()
            self._wake.clear()
            last_round = self._closing  # read before draining: nothing is added once it is set
            while self._commit_batch(connection):
                pass

    def _commit_batch(self, connection: sqlite3.Connection) -> bool:
        """Commit one batch; return False where no job was waiting."""
        batch = _Batch()
        job = self._take_next_job(batch)
        if job is None:
            return False
        try:
            self._begin_transaction(connection)
            while job is not None:
                self._run_job(connection, job, batch)
                job = self._take_next_job(batch)
            self._commit_transaction(connection, batch)
        except (sqlite3.Error, OSError, WriteFailed) as error:
            connection.rollback()
            batch.fail(self._batch_error(error))
        self._bulk_waited = batch.bulk_until is None and bool(self._bulk.waiting)
        self.last_batch_at = time.monotonic()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._publish_and_answer, batch)
        return True

    def _begin_transaction(self, connection: sqlite3.Connection) -> None:
        if self._watch is not None:
            self._watch.check_files()
        connection.execute("BEGIN IMMEDIATE")
        if self._watch is not None:
            self._watch.check_transaction(connection)

    def _commit_transaction(self, connection: sqlite3.Connection, batch: _Batch) -> None:
        if self._watch is not None:
            self._watch.check_files()
        connection.execute("COMMIT")
        self.commits += 1
        if self._watch is not None and batch.events:
            self._watch.high_water = batch.events[-1].seq

    def _take_next_job(self, batch: _Batch) -> _Job | None:
        """Move the next job into the batch and return it; None where none waits or may be added."""
        # Urgent jobs without end must not keep the bulk waiting without end.
        bulk_turn = self._bulk_waited and self._bulk.waiting and not batch.jobs
        if self._urgent.waiting and batch.urgent_left and not bulk_turn:
            batch.urgent_left -= 1
            batch.bulk_left = 0  # its answer waits for the commit: no more bulk before that
            job = self._urgent.waiting.popleft()
        elif self._bulk.waiting and batch.bulk_left:
            now = time.monotonic()
            batch.bulk_until = batch.bulk_until or now + MAX_BULK_SECONDS
            if now > batch.bulk_until:
                return None
            batch.bulk_left -= 1
            job = self._bulk.waiting.popleft()
        else:
            return None
        batch.jobs.append(job)
        return job

    def _run_job(self, connection: sqlite3.Connection, job: _Job, batch: _Batch) -> None:
        """Run one job in its own savepoint. Raises WriteFailed when the transaction is lost."""
        tx = Tx(connection)
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(tx)
        except BaseException as error:
            job.error = self._job_error(error)
            if not connection.in_transaction:  # SQLite rolled everything back, not just this job
                raise self._batch_error(error) from error
            connection.execute("ROLLBACK TO job")
        else:
            batch.after_commit += tx.after_commit
            batch.events += tx.emitted
        connection.execute("RELEASE job")

    def _job_error(self, error: BaseException) -> BaseException:
        """Return the error that the caller of a job gets for what the job raised."""
        # A future takes no StopIteration, and an exit of the job must not end the caller's task.
        if isinstance(error, Exception) and not isinstance(error, StopIteration):
            return classify_disk_error(error, self._where) or error
        aborted = JobAborted(
            f"A change to {self._where} was given up before it was finished.",
            "Please report this; nothing of that change was written.",
        )
        aborted.__cause__ = error
        return aborted

    def _batch_error(self, error: BaseException) -> WriteFailed:
        """Return the error of a whole batch that was rolled back."""
        if isinstance(error, WriteFailed):
            return error
        return classify_disk_error(error, self._where) or DiskFault(
            f"A transaction on {self._where} was given up ({error}); nothing of it was written.",
            "Try again; if it happens again, run `leadmaster doctor`.",
        )

    def _publish_and_answer(self, batch: _Batch) -> None:
        """Run what follows the commit, publish the events and resolve the futures, in one turn."""
        # In this order: a caller that goes on must find its events published already.
        try:
            for follow_up in batch.after_commit:
                follow_up()
            if batch.events:
                self._publish(batch.events)
        finally:
            for job in batch.jobs:
                job.settle()
