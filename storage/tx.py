"""The database as a query (`Reader`) and a write job (`Tx`) can use it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from storage import events
from storage.events import CommittedEvent, StorableEvent

Parameters: TypeAlias = Sequence[object] | Mapping[str, object]
Rows: TypeAlias = "list[sqlite3.Row]"
Cell: TypeAlias = Any  # int, float, str, bytes or None, which depends on the query


class Reader:
    """Queries on one consistent state of the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use a connection whose transaction the caller begins and ends."""
        self._connection = connection

    def one(self, sql: str, params: Parameters = ()) -> sqlite3.Row | None:
        """Return the first row, or None when there is none."""
        row: sqlite3.Row | None = self._connection.execute(sql, params).fetchone()
        return row

    def all(self, sql: str, params: Parameters = ()) -> Rows:
        """Return every row."""
        return self._connection.execute(sql, params).fetchall()

    def value(self, sql: str, params: Parameters = ()) -> Cell:
        """Return the first column of the first row, or None when there is no row."""
        row = self.one(sql, params)
        return None if row is None else row[0]


class Tx(Reader):
    """Queries and changes of one write job, of which all are committed or none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use a connection whose transaction the caller begins and ends."""
        super().__init__(connection)
        self.emitted: list[CommittedEvent] = []
        self.after_commit: list[Callable[[], None]] = []
        """Run on the loop once the job is committed, before its events are published."""

    def execute(self, sql: str, params: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, params)

    def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int:
        """Run one statement for each row; return how many rows it changed."""
        return self._connection.executemany(sql, rows).rowcount

    def emit(self, event: StorableEvent) -> int:
        """Append an event and return its sequence number; it is published after the commit."""
        committed = events.append_event(self._connection, event)
        self.emitted.append(committed)
        return committed.seq

    def emit_many(self, happened: Sequence[StorableEvent]) -> None:
        """Append events in their order, as :meth:`emit` does, with one statement for all."""
        self.emitted += events.append_events(self._connection, happened)
