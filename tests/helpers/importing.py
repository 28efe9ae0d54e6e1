"""The import room on a real database, with the real rules."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from daemon.aliases import Aliases
from daemon.errors import ImportRejected
from daemon.imports import lines
from daemon.imports.child import Child, Reading
from daemon.imports.importer import Imports
from daemon.imports.options import ImportOptions
from daemon.imports.reading import ReadRecord
from daemon.imports.reports import ImportReport
from daemon.imports.worker import answered
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

AT = datetime(2026, 11, 20, tzinfo=UTC)
SETTINGS = Settings(
    plugins=PluginSettings(
        blocked=("sender", "listener", "transport_simulated", "transport_manual")
    )
)
"""Only the sync plugin: an import needs no other."""


class ReadHere(Child):
    """Does what the child process does, without the process: starting one takes half a second."""

    @contextlib.asynccontextmanager
    async def reading(self, request: lines.Request) -> AsyncIterator[Reading]:
        """Lend what the worker's own code answers."""
        answers = map(_no_refusal, answered(request))
        opened = next(answers)
        assert isinstance(opened, lines.Opened)

        async def batches() -> AsyncIterator[Sequence[ReadRecord]]:
            for answer in answers:
                if isinstance(answer, lines.Batch):
                    yield answer.records

        yield Reading(opened, batches())


def _no_refusal(answer: lines.Answer) -> lines.Answer:
    if isinstance(answer, lines.Refused):
        raise ImportRejected(answer.sentence, hint=answer.hint)
    return answer


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
    """Open the room; without a ``child`` of its own the file is read in this process."""
    published: list[CommittedEvent] = []
    clock = FakeClock(AT)
    plugins = Plugins()
    plugins.load(blocked=SETTINGS.plugins.blocked)
    state = folder / "state"
    async with opened_database(state, published) as database:
        aliases = Aliases(SuppressionJournal(state).hash)
        scoring = Scoring(Rulebook.load(RulesSettings()))
        imports = Imports(
            database, plugins, scoring, aliases, clock, SETTINGS, child=child or ReadHere()
        )
        yield ImportRoom(folder, database, aliases, scoring, imports, clock, published)
