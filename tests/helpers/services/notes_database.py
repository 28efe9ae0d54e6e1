"""The storage package with a schema of two tables, and ways to block its writer."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database as SchemaDatabase

from storage.db import QUEUE_LIMIT, Database
from storage.events import CommittedEvent
from storage.migrations import SchemaMigrations
from storage.schema_steps import read_schema, split_statements
from storage.tx import Reader, Tx

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOTES_MIGRATIONS = SchemaMigrations("small")


@NOTES_MIGRATIONS.add
def m001_notes(db: SchemaDatabase) -> None:
    """Create the tables that storage itself needs, and two more, one with a foreign key."""
    for statement in split_statements(read_schema()):
        if "CREATE TABLE epochs" in statement or "CREATE TABLE events" in statement:
            db.execute(statement)
    db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT")
    db.execute("CREATE TABLE marks (note INTEGER NOT NULL REFERENCES notes (id)) STRICT")


NEWER_NOTES_MIGRATIONS = SchemaMigrations("small")
NEWER_NOTES_MIGRATIONS.add(m001_notes)


@NEWER_NOTES_MIGRATIONS.add
def m002_colours(db: SchemaDatabase) -> None:
    """Change the first table, as a later version would."""
    db.execute("ALTER TABLE notes ADD COLUMN colour TEXT")


@dataclass(frozen=True)
class NoteAdded:
    """An event like those of the daemon."""

    subject: str
    at: datetime = NOON
    type: str = "note_added"
    data: Mapping[str, object] = field(default_factory=dict)


def add_note(text: str) -> Callable[[Tx], int]:
    """Return a job that adds a note, emits an event, and returns its number."""

    def job(tx: Tx) -> int:
        tx.execute("INSERT INTO notes (text) VALUES (?)", (text,))
        return tx.emit(NoteAdded(text, data={"text": text}))

    return job


def list_note_texts(reader: Reader) -> list[str]:
    """Return all notes, in order of creation."""
    return [row["text"] for row in reader.all("SELECT text FROM notes ORDER BY id")]


def ignore_events(_events: Sequence[CommittedEvent]) -> None:
    """Ignore committed events."""


@contextlib.asynccontextmanager
async def open_notes_database(
    folder: Path,
    *,
    migrations: SchemaMigrations = NOTES_MIGRATIONS,
    events: list[CommittedEvent] | None = None,
    queue_limit: int = QUEUE_LIMIT,
) -> AsyncIterator[Database]:
    """Open a database, collect its events, close it."""
    on_events = ignore_events if events is None else events.extend
    database = await Database.open(
        folder, migrations=migrations, on_events=on_events, queue_limit=queue_limit
    )
    try:
        yield database
    finally:
        await database.close()


async def fill_notes_database(folder: Path, *words: str) -> None:
    """Create a database with these notes, and close it."""
    async with open_notes_database(folder) as database:
        for word in words:
            await database.write(add_note(word))


def connect_directly(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """Open the database file directly, past the storage package."""
    return contextlib.closing(sqlite3.connect(path))


class WriterHold:
    """A job that blocks the writer until it is released, so that others queue behind it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def __call__(self, _tx: Tx) -> None:
        """Wait in the writer's thread."""
        self._entered.set()
        # Bounded: after a failed test, the writer's thread would wait for ever.
        assert self._open.wait(10)

    async def wait_until_held(self) -> None:
        """Wait until the writer is blocked."""
        assert await asyncio.to_thread(self._entered.wait, 10)

    def release(self) -> None:
        """Release the writer."""
        self._open.set()


@contextlib.asynccontextmanager
async def hold_writer(database: Database, *, urgent: bool = False) -> AsyncIterator[None]:
    """Block the writer for the length of the block."""
    gate = WriterHold()
    holding = asyncio.create_task(database.write(gate, urgent=urgent))
    await gate.wait_until_held()
    try:
        yield
    finally:
        gate.release()
        await asyncio.gather(holding, return_exceptions=True)


async def yield_to_tasks(count: int = 5) -> None:
    """Let the other tasks run for some turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)
