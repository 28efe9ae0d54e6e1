"""A real database in a folder of the test's own, with the events that it published."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from storage import guards
from storage.db import Database
from storage.events import CommittedEvent
from storage.migrations import MIGRATIONS


@contextlib.asynccontextmanager
async def open_database(
    folder: Path, published: list[CommittedEvent] | None = None
) -> AsyncIterator[Database]:
    """Open (or make) the database of ``folder``; committed events are added to ``published``."""
    events = published if published is not None else []
    database = await Database.open(
        folder, migrations=MIGRATIONS, on_events=events.extend, at_open=guards.install_triggers
    )
    try:
        yield database
    finally:
        await database.close()
