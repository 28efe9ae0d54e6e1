"""The daemon's database: opens it, and gives access to writer, readers and maintenance."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from msgspec.structs import replace

from storage import event_log
from storage.ballast import Ballast, build_full_error
from storage.column_formats import utc_now
from storage.connections import ReaderPool, connect_for_writing
from storage.errors import (
    DatabaseClosed,
    DatabaseDamaged,
    DiskFull,
    WriteFailed,
    classify_read_error,
    translate_disk_errors,
)
from storage.events import CommittedEvent
from storage.identity import DatabaseAnchor
from storage.migrations import SchemaMigrations, TransactionStep
from storage.opening import do_nothing, prepare_database
from storage.replacement import ReplacementWatch
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
        anchor: DatabaseAnchor,
        watch: ReplacementWatch,
        writer: Writer,
        readers: ReaderPool,
        maintenance: MaintenanceThread,
        opened: contextlib.AsyncExitStack,
    ) -> None:
        """Take over what `open` has opened."""
        self._folder = folder
        self._anchor = anchor
        self._watch = watch
        self._checkpointed = anchor.checkpointed
        self._ballast = Ballast(folder)
        self._refusal: WriteFailed | None = None
        self._damage: DatabaseDamaged | None = None
        self._is_fault_noted = False  # in the anchor
        self._writer = writer
        self._readers = readers
        self._maintenance = maintenance
        self._opened = opened

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        migrations: SchemaMigrations,
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
            await aside.run(Ballast(state).drop_for_start)
            anchor = await aside.run(prepare_database, state, migrations, at_open, now())
            watch = ReplacementWatch(state, anchor)
            connect = functools.partial(connect_for_writing, state.database)
            where = str(state.database)
            writer = Writer(connect, on_events, where=where, queue_limit=queue_limit, watch=watch)
            await writer.start()
            # After the writer has ended, so that the anchor has the last event's number.
            stack.push_async_callback(aside.run, _end_watch, state, anchor, watch)
            stack.push_async_callback(writer.close)
            readers = ReaderPool(state.database)
            stack.push_async_callback(readers.close)
            # So that the log of this run is known if it ends without closing it.
            await aside.run(_save_anchor, state, anchor, watch)
            return cls(state, anchor, watch, writer, readers, aside, stack.pop_all())

    async def write(
        self, job: Callable[[Tx], T], *, urgent: bool = False, uses_ballast: bool = False
    ) -> T:
        """Run the job in the writer's thread; return its result once it is on the disk.

        Waits when the queue is full. What the job raises is raised here, and only its own changes
        are undone. With ``uses_ballast`` a full disk is given room for it; such a job is run at
        most twice. Raises WriteFailed when the disk refused, or while only urgent jobs are
        accepted, and DatabaseClosed after `close`. A job that has its place in the queue is run
        even if its caller is cancelled.
        """
        refusal = self._damage or self._refusal
        if refusal is not None and not (urgent or uses_ballast):
            raise _forget_callers(refusal)
        try:
            return await self._writer.submit(job, urgent=urgent)
        except DatabaseDamaged as error:
            self._damage = error
            raise
        except DiskFull:
            if not uses_ballast:
                raise
            # Nothing else may use the room: it is for other halts and opt-outs.
            self.refuse_writes(build_full_error(self._folder))
            if not await self._maintenance.run(self._ballast.drop):
                raise
        return await self._writer.submit(job, urgent=urgent)

    @property
    def refusal(self) -> WriteFailed | None:
        """Why no message may be released now: see `fault`, or the disk is full."""
        found = self.fault or self._refusal
        return None if found is None else _forget_callers(found)

    def refuse_writes(self, error: WriteFailed) -> None:
        """Raise this for every write that is not urgent, until `accept_writes`."""
        self._refusal = error

    def accept_writes(self) -> None:
        """Accept every write again."""
        self._refusal = None

    async def ensure_room(self) -> bool:
        """Make the ballast where it is missing; return whether it is there and the disk has room.

        Where it has none, writes are refused; the caller accepts them again. Raises WriteFailed.
        """
        if await self._maintenance.run(self._ballast.ensure_room):
            return True
        self.refuse_writes(build_full_error(self._folder))
        return False

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run the query in a reader's thread, on one consistent committed state.

        Raises WriteFailed where the disk or the file does not give what it should.
        """
        try:
            return await self._readers.read(query)
        except sqlite3.Error as error:
            # Pages of another database are found by reading, too.
            if (replaced := await self.check_files()) is not None:
                raise replaced from error
            if (failure := classify_read_error(error, self.path)) is None:
                raise
            if isinstance(failure, DatabaseDamaged):
                self._damage = failure
            raise failure from error

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
        return self._anchor.instance_id

    @property
    def epoch(self) -> int:
        """The number of the epoch: one more for each copy that a person adopted, beginning at 1.

        Sequence numbers of events can be compared within one epoch only.
        """
        return self._anchor.epoch

    @property
    def last_batch_at(self) -> float:
        """`time.monotonic()` at the end of the last transaction, committed or rolled back."""
        return self._writer.last_batch_at

    @property
    def commits(self) -> int:
        """How many transactions have reached the disk since `open`."""
        return self._writer.commits

    async def checkpoint(self, *, cut: bool = True) -> None:
        """Move committed changes from the write-ahead log into the file, and cut the log.

        Most of the work is done beside the writer; it waits only for the last step, the cut.
        Without it the log keeps its size; where all of it was moved, it is used from its start.
        """
        await self._maintenance.run(_checkpoint_wal, self._folder, self._watch, cut=cut)

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
        """Write the latest event number into the anchor, so that an older copy is recognised.

        Raises DatabaseReplaced where `check_files` noticed that; the anchor says so then, too.
        """
        await self._maintenance.run(_save_anchor, self._folder, self._anchor, self._watch)
        if self._watch.fault is not None:
            raise _forget_callers(self._watch.fault)

    @property
    def fault(self) -> WriteFailed | None:
        """What another program did to the open database, or where it is damaged.

        It stays until a start, which checks everything.
        """
        found = self._watch.fault or self._damage
        return None if found is None else _forget_callers(found)

    async def check_files(self, seconds: float = 0) -> WriteFailed | None:
        """Compare the files with those that are open; return the `fault` that is known by then.

        A comparison of the last `seconds` is enough: each transaction makes one.
        """
        if self.fault is None and time.monotonic() - self.last_batch_at >= seconds:
            with contextlib.suppress(WriteFailed):
                await self.write(_write_nothing, urgent=True)
        # Whoever noticed it, such as another transaction.
        found, is_noted = self.fault, self._is_fault_noted
        if (found and not is_noted) or self._watch.checkpointed > self._checkpointed:
            # So that the next start refuses an older file, even where this process is killed.
            try:
                await self._maintenance.run(_save_anchor, self._folder, self._anchor, self._watch)
            except (OSError, WriteFailed):
                if found is None:  # else there may be no folder any more
                    raise
            else:
                self._checkpointed = self._watch.checkpointed
                self._is_fault_noted = found is not None
        return found


def _forget_callers(error: WriteFailed) -> WriteFailed:
    """Return an error that is kept and raised again, without the frames of those it was raised for.

    They hold what was to be written.
    """
    return error.with_traceback(None)


def _write_nothing(_tx: Tx) -> None:
    """Write nothing: the writer looks at the files before and after."""


def _save_anchor(folder: StateFolder, anchor: DatabaseAnchor, watch: ReplacementWatch) -> None:
    """Write into the anchor how far the database has come; never another file or an older one."""
    mixed = watch.fault is not None and watch.is_content_mixed
    with translate_disk_errors(folder.anchor):
        replace(
            anchor,
            high_water=watch.high_water,
            checkpointed=watch.checkpointed,
            log_inode=watch.log_inode,
            changed=watch.fault.sentence if mixed and watch.fault else "",
        ).save(folder)


def _end_watch(folder: StateFolder, anchor: DatabaseAnchor, watch: ReplacementWatch) -> None:
    """Check the files once more and write the anchor. Raises DatabaseReplaced."""
    try:
        watch.check_closed()
    finally:
        _save_anchor(folder, anchor, watch)


def _checkpoint_wal(folder: StateFolder, watch: ReplacementWatch, *, cut: bool) -> None:
    with (
        watch.checkpointing(),
        contextlib.closing(connect_for_writing(folder.database)) as connection,
    ):
        _run_checkpoint(connection, watch, "PASSIVE")
        if not cut:
            return
        # TRUNCATE blocks the writer while it waits for readers: rather give up, until next time.
        connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_BUSY_MILLISECONDS}")
        _run_checkpoint(connection, watch, "TRUNCATE")


def _run_checkpoint(connection: sqlite3.Connection, watch: ReplacementWatch, mode: str) -> None:
    _busy, frames, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    watch.note_checkpoint(frames, moved)
