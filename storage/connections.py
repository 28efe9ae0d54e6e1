"""Opens SQLite connections with their pragmas, and holds the pool of read-only ones."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import sqlite3
import unicodedata
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
    "secure_delete = ON",  # or what was erased of a person would stay in free pages of the file
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


def connect_to_file_alone(path: Path) -> sqlite3.Connection:
    """Open a connection that reads the file without its write-ahead log, and takes no lock."""
    return _connect(path, "ro&immutable=1", ("query_only = ON",))


_LEFT_OPEN: Final[list[sqlite3.Connection]] = []


def leave_open(connection: sqlite3.Connection) -> None:
    """Leave a connection open until the process ends, in place of closing it.

    To close the last one would move the write-ahead log into the file, and delete whatever file
    has the log's name.
    """
    _LEFT_OPEN.append(connection)


# Of the Latin, Greek and Cyrillic scripts: in others a mark may be the vowel itself.
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")


def fold_text(text: str) -> str:
    """Return a text without case and accents, as searches compare it; `fold_text` in SQL."""
    if text.isascii():  # most texts, at a tenth of the time
        return text.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))


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
    # Deterministic, so that SQLite folds a parameter once and not for each row.
    connection.create_function("fold_text", 1, fold_text, deterministic=True)
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
