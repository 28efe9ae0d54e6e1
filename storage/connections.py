"""Opens SQLite connections with their pragmas, and holds the pool of read-only ones."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from storage.errors import DatabaseClosed
from storage.tx import Reader

APPLICATION_ID: Final = 0x4C656164  # "Lead", at byte 68 of the file
BUSY_MILLISECONDS: Final = 5_000
# Instructions of SQLite's virtual machine between two calls of the handler that may interrupt.
INTERRUPT_CHECK_STEPS: Final = 10_000
_CHECKPOINT_PAGES: Final = 4_000  # 16 MB: a safety net, the periodic checkpoint comes before it

_COMMON_PRAGMAS: Final = ("foreign_keys = ON", "trusted_schema = OFF")
_WRITE_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
)


def connect_for_writing(path: Path) -> sqlite3.Connection:
    """Open a connection that may change the file; a commit is on the disk when it returns."""
    # `synchronous = FULL` among the pragmas: an acknowledged change must survive a power cut.
    return _connect(path, "rw", (*_COMMON_PRAGMAS, *_WRITE_PRAGMAS))


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a connection that can not change the file."""
    # mode=ro and query_only: the first alone would still allow writes to temporary tables.
    return _connect(path, "ro", (*_COMMON_PRAGMAS, "query_only = ON"))


def _connect(path: Path, mode: str, pragmas: Sequence[str]) -> sqlite3.Connection:
    """Open and set up a connection; close it where a pragma fails."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions are begun and ended by us, never by the module
        check_same_thread=False,  # a pool lends each connection to one thread at a time
        timeout=BUSY_MILLISECONDS / 1000,
    )
    connection.row_factory = sqlite3.Row
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


T = TypeVar("T")

READER_COUNT: Final = 3
READER_CLOSE_SECONDS: Final = 5.0


class ReaderPool:
    """Read-only connections, lent to one query at a time."""

    def __init__(self, path: Path, *, close_seconds: float = READER_CLOSE_SECONDS) -> None:
        """Open all connections at once, so that a bad file is noticed at the start."""
        with contextlib.ExitStack() as opened:
            self._connections = [
                opened.enter_context(contextlib.closing(connect_for_reading(path)))
                for _ in range(READER_COUNT)
            ]
            self._opened = opened.pop_all()
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for connection in self._connections:
            self._free.put(connection)
        self._threads = ThreadPoolExecutor(READER_COUNT, thread_name_prefix="storage-reader")
        self._close_seconds = close_seconds
        self._closing = self._interrupted = False
        for connection in self._connections:
            connection.set_progress_handler(lambda: self._interrupted, INTERRUPT_CHECK_STEPS)

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Run the query on one consistent, committed state. Raises DatabaseClosed after `close`."""
        if self._closing:
            raise DatabaseClosed
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._run_query, query
        )

    async def close(self) -> None:
        """Close the pool; interrupt the queries that run longer than `close_seconds`.

        A caller that is cancelled interrupts them at once; all is closed nevertheless.
        """
        self._closing = True
        ended = asyncio.get_running_loop().run_in_executor(None, self._close_connections)
        try:
            await asyncio.wait({ended}, timeout=self._close_seconds)
        finally:
            # The progress handlers read this flag; `Connection.interrupt` would miss a query that
            # begins a moment later.
            self._interrupted = True
        await ended

    def _close_connections(self) -> None:
        """Close the connections once no query uses one (runs in a thread of its own)."""
        self._threads.shutdown()
        self._opened.close()

    def _run_query(self, query: Callable[[Reader], T]) -> T:
        # Never blocks for long: there are as many threads as connections.
        connection = self._free.get()
        try:
            # A transaction, so that all statements of the query see the same state.
            connection.execute("BEGIN")
            return query(Reader(connection))
        finally:
            # Ends the transaction: an open one would keep the write-ahead log from being cut.
            connection.rollback()
            self._free.put(connection)
