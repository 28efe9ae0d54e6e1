"""The product's database in a test's own folder, and the events that it published."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from storage import triggers
from storage.db import Database
from storage.errors import DiskFault, DiskFull
from storage.events import CommittedEvent
from storage.migrations import MIGRATIONS
from storage.tx import Reader, Tx


@contextlib.asynccontextmanager
async def open_database(
    folder: Path, published: list[CommittedEvent] | None = None
) -> AsyncIterator[Database]:
    """Open (or make) the database of ``folder``; committed events are added to ``published``."""
    events = published if published is not None else []
    database = await Database.open(
        folder, migrations=MIGRATIONS, on_events=events.extend, at_open=triggers.install_triggers
    )
    try:
        yield database
    finally:
        await database.close()


T = TypeVar("T")


class WatchedDatabase(Database):
    """A database that tells whether it is at work, so that a fake clock waits for it.

    While ``refusing`` is set its disk takes nothing, in the words that storage has for that.
    """

    pending = 0
    refuses = False

    async def write(self, job: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Write, counted."""
        if self.refuses:
            raise DiskFault("The disk takes nothing.", "Mend the disk.")
        self.pending += 1
        try:
            return await super().write(job, urgent=urgent)
        finally:
            self.pending -= 1

    async def read(self, query: Callable[[Reader], T]) -> T:
        """Read, counted."""
        self.pending += 1
        try:
            return await super().read(query)
        finally:
            self.pending -= 1


class WriteCountingDatabase(Database):
    """A database that knows whether one of its threads works, so that time can wait for it."""

    pending = 0
    refuses = False
    """Whether the disk is full."""

    async def write(self, job: Callable[[Tx], T], *, urgent: bool = False) -> T:
        """Write, and be busy until it is done."""
        if self.refuses:
            raise DiskFull("The disk is full.", "Free some space.")
        self.pending += 1
        try:
            return await super().write(job, urgent=urgent)
        finally:
            self.pending -= 1
