"""The types of stored events, and how one is appended to the `events` table."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from storage.column_formats import format_timestamp

# One for all events: to make an encoder takes longer than to use it. A NaN raises: it would be no
# JSON for the clients that the event is sent to.
_encode_data: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


class StorableEvent(Protocol):
    """The attributes of an event that can be stored."""

    @property
    def type(self) -> str:
        """Its name, in the past tense."""
        ...

    @property
    def at(self) -> datetime:
        """When it happened; aware."""
        ...

    @property
    def subject(self) -> str:
        """The id of the thing that it happened to."""
        ...

    @property
    def data(self) -> Mapping[str, object]:
        """The rest, in plain JSON types."""
        ...


class CommittedEvent(Struct, frozen=True):
    """A stored event. `seq` is its place in the log, never given twice."""

    seq: int
    type: str
    at: datetime
    subject: str
    data: Mapping[str, object]


def append_event(connection: sqlite3.Connection, event: StorableEvent) -> CommittedEvent:
    """Insert the event inside the running transaction."""
    data = dict(event.data)
    seq = connection.execute(
        "INSERT INTO events (type, at, subject, data) VALUES (?, ?, ?, ?)",
        (event.type, format_timestamp(event.at), event.subject, _encode_data(data)),
    ).lastrowid
    return CommittedEvent(seq or 0, event.type, event.at, event.subject, data)


def append_events(
    connection: sqlite3.Connection, events: Sequence[StorableEvent]
) -> list[CommittedEvent]:
    """Insert events, in their order, inside the running transaction; for many at once."""
    # Numbered here, as AUTOINCREMENT would: one statement for all can't return what it gave.
    (last,) = connection.execute(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"
    ).fetchone()
    committed = [
        CommittedEvent(seq, event.type, event.at, event.subject, dict(event.data))
        for seq, event in enumerate(events, last + 1)
    ]
    connection.executemany(
        "INSERT INTO events (seq, type, at, subject, data) VALUES (?, ?, ?, ?, ?)",
        [
            (each.seq, each.type, format_timestamp(each.at), each.subject, _encode_data(each.data))
            for each in committed
        ],
    )
    return committed
