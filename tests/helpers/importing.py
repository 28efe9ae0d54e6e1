"""The import room on a real database, with the real rules and the real child process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from daemon.aliases import Aliases
from daemon.imports import ImportOptions, ImportReport, Imports
from daemon.imports.child import Child
from daemon.plugin_manager import Plugins
from daemon.rulebook import Rulebook
from daemon.scoring import Scoring
from daemon.settings import PluginSettings, RulesSettings, Settings
from storage import contacts, prospects
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.prospects import ProspectRecord
from tests.helpers.clock import FakeClock
from tests.helpers.database import opened_database

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
SETTINGS = Settings(
    plugins=PluginSettings(
        blocked=("sender", "listener", "transport_simulated", "transport_manual")
    )
)
"""Only the sync plugin: an import needs no other."""


@dataclass
class ImportRoom:
    """A database, the rooms that an import needs, and what was published."""

    folder: Path
    database: Database
    aliases: Aliases
    scoring: Scoring
    imports: Imports
    clock: FakeClock
    published: list[CommittedEvent] = field(default_factory=list)

    async def bring(
        self, text: str, name: str = "list.csv", options: ImportOptions | None = None
    ) -> ImportReport:
        """Import a CSV of this text."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return await self.imports.run(path, options or ImportOptions(), "ana")

    async def prospects(self) -> Sequence[ProspectRecord]:
        """Return every prospect, in the order they came."""
        return await self.database.read(lambda reader: prospects.search(reader, limit=10_000))

    async def prospect(self, phone: str) -> ProspectRecord:
        """Return the prospect behind any form of a number."""
        found = await self.database.read(
            lambda reader: prospects.of_contact(reader, contacts.of_alias(reader, phone) or "")
        )
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def import_room(folder: Path, *, child: Child | None = None) -> AsyncIterator[ImportRoom]:
    """Open the room; ``child`` stands in for the process that reads."""
    published: list[CommittedEvent] = []
    clock = FakeClock(AT)
    plugins = Plugins()
    plugins.load(blocked=SETTINGS.plugins.blocked)
    state = folder / "state"
    async with opened_database(state, published) as database:
        aliases = Aliases(SuppressionJournal(state).hash)
        scoring = Scoring(Rulebook.load(RulesSettings()).score)
        imports = Imports(database, plugins, scoring, aliases, clock, SETTINGS, child=child)
        yield ImportRoom(folder, database, aliases, scoring, imports, clock, published)
