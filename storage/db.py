"""The daemon's database: opens it, and gives access to writer, readers and maintenance."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from sqlite_utils import Migrations

from storage import event_log
from storage.column_formats import utc_now
from storage.connections import ReaderPool, connect_for_writing
from storage.errors import DatabaseClosed, translate_disk_errors
from storage.events import CommittedEvent
from storage.identity import DatabaseIdentity
from storage.migrations import TransactionStep
from storage.opening import do_nothing, prepare_database, update_anchor
from storage.state_folder import FolderLock, StateFolder
from storage.tx import Reader, Tx
from storage.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")


class MaintenanceThread:
    """One thread for work beside the writer, one piece at a time, on connections of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="storage-aside")
        self._closing = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work in the thread and return its result. Raises DatabaseClosed after `close`.

        Work that has begun is finished, even if the caller is cancelled.
        """
        if self._closing:
            raise DatabaseClosed
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def close(self) -> None:
        """Refuse new work; return once the work that has begun is done."""
        self._closing = True
        await asyncio.to_thread(self._thread.shutdown)


QUEUE_LIMIT: Final = 2_048  # waiting jobs of each lane
TRIM_BATCH_ROWS: Final = 500  # of the event log in one job, so that other writes wait little
CHECKPOINT_BUSY_MILLISECONDS: Final = 50


class Database:
    """The open database of a state folder. Make one with `Database.open`."""

    def __init__(
        self,
        folder: StateFolder,
        identity: DatabaseIdentity,
        writer: Writer,
        readers: ReaderPool,
        maintenance: MaintenanceThread,
        opened: contextlib.AsyncExitStack,
    ) -> None:
        """Take over what `open` has opened."""
        self._folder = folder
        self._identity = identity
        self._writer = writer
        self._readers = readers
        self._maintenance = maintenance
        self._opened = opened

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        migrations: Migrations,
        on_events: Callable[[Sequence[CommittedEvent]], None],
        at_open: TransactionStep = do_nothing,
        queue_limit: int = QUEUE_LIMIT,
        now: Callable[[], datetime] = utc_now,
    ) -> Database:
        """Lock, check and migrate the folder's database; create it in a folder that is new.

        `on_events` is called on the loop with the events of each commit, in the order of `seq`,
        right before the callers of that commit get their answers. `at_open` runs in the
        transaction of the migrations, at every open. Raises DatabaseRefused or WriteFailed.
        """
        state = StateFolder(folder)
        # The order of this stack is the order of closing, backwards: readers, writer, anchor,
        # thread, and the lock of the folder last.
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(contextlib.closing(FolderLock(state)))
            stack.enter_context(translate_disk_errors(folder))
            # A start that is cancelled keeps the lock until this thread has finished with the file.
            aside = MaintenanceThread()
            stack.push_async_callback(aside.close)
            identity = await aside.run(prepare_database, state, migrations, at_open, now())
            connect = functools.partial(connect_for_writing, state.database)
            where = str(state.database)
            # After the writer has ended, so that the anchor has the last event's number.
            stack.push_async_callback(aside.run, update_anchor, state)
            writer = Writer(connect, on_events, where=where, queue_limit=queue_limit)
            await writer.start()
            stack.push_async_callback(writer.close)
            readers = ReaderPool(state.database)
            stack.push_async_callback(readers.close)
            return cls(state, identity, writer, readers, aside, stack.pop_all())

    async def write(self, job: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Run the job in the writer's thread; return its result once it is on the disk.

        Waits when the queue is full. What the job raises is raised here, and only its own changes
        are undone. Raises WriteFailed when the disk refused, DatabaseClosed after `close`. A job
        that has its place in the queue is run even if its caller is cancelled.
        """
        return await self._writer.submit(job, urgent=urgent)

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run the query in a reader's thread, on one consistent committed state."""
        return await self._readers.read(query)

    async def close(self) -> None:
        """End the queries, commit what waits, write the anchor, release the folder."""
        await self._opened.aclose()

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return self._folder.database

    @property
    def instance_id(self) -> str:
        """The id of this installation; the same after a restore."""
        return self._identity.instance_id

    @property
    def epoch(self) -> int:
        """The number of the epoch: one more for each copy that a person adopted, beginning at 1.

        Sequence numbers of events can be compared within one epoch only.
        """
        return self._identity.epoch

    @property
    def last_batch_at(self) -> float:
        """`time.monotonic()` at the end of the last transaction, committed or rolled back."""
        return self._writer.last_batch_at

    @property
    def commits(self) -> int:
        """How many transactions have reached the disk since `open`."""
        return self._writer.commits

    async def checkpoint(self) -> None:
        """Move committed changes from the write-ahead log into the file, and cut the log.

        Most of the work is done beside the writer; it waits only for the last step.
        """
        await self._maintenance.run(_checkpoint_wal, self._folder)

    async def trim_events(self, before: datetime) -> int:
        """Delete the events from before that moment, in small jobs; return how many."""
        total = 0
        while gone := await self.write(
            lambda tx: event_log.trim_events(tx, before, TRIM_BATCH_ROWS)
        ):
            total += gone
        return total

    async def high_water(self) -> int:
        """Return the highest committed sequence number, 0 before the first event."""
        return await self.read(event_log.get_high_water)

    async def save_high_water(self) -> None:
        """Write the latest event number into the anchor, so that an older copy is recognised."""
        await self._maintenance.run(update_anchor, self._folder)


def _checkpoint_wal(folder: StateFolder) -> None:
    with contextlib.closing(connect_for_writing(folder.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        # TRUNCATE blocks the writer while it waits for readers: rather give up, until next time.
        connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_BUSY_MILLISECONDS}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
