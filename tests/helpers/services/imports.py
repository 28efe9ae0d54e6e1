"""The import service over a real database, with the file read in this process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from daemon.contacts.aliases import Aliases
from daemon.contacts.imports import process
from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.process import ImportFileSummary, ImportProcess, answer_import
from daemon.contacts.imports.report import ImportReport
from daemon.contacts.imports.row_parser import ParsedImportRow
from daemon.contacts.imports.service import ImportService
from daemon.contacts.list_process import ListRefusal, OpenedList, RecordBatch
from daemon.errors import ImportRejected
from daemon.gate.scoring import Scoring
from daemon.plugin_manager import Plugins
from daemon.settings import PluginSettings, RulesSettings, Settings
from storage import contacts, prospect_search, prospects
from storage.db import Database
from storage.events import CommittedEvent
from storage.journal import SuppressionJournal
from storage.prospect_search import ProspectSearch
from storage.prospects import ProspectRecord
from tests.helpers.clock import FakeClock
from tests.helpers.plugins import block_all_but
from tests.helpers.services.database import load_active_rulesets, open_database

IMPORTED_AT = datetime(2026, 11, 20, tzinfo=UTC)
SYNC_ONLY_SETTINGS = Settings(plugins=PluginSettings(blocked=block_all_but("sync")))
"""Settings with the sync plugin alone, which is all that an import needs."""


class InProcessImportReader(ImportProcess):
    """Runs the worker's code in this process, since starting one takes half a second."""

    @contextlib.asynccontextmanager
    async def open_file(
        self, request: process.ImportReadRequest
    ) -> AsyncIterator[OpenedList[ImportFileSummary, ParsedImportRow]]:
        """Yield the answers of the worker's own code."""
        answers = map(_raise_refusal, answer_import(request))
        opened = next(answers)
        assert isinstance(opened, ImportFileSummary)

        async def batches() -> AsyncIterator[Sequence[ParsedImportRow]]:
            for answer in answers:
                if isinstance(answer, RecordBatch):
                    yield answer.records

        yield OpenedList(opened, batches())


def _raise_refusal(answer: process.ImportReadAnswer) -> process.ImportReadAnswer:
    if isinstance(answer, ListRefusal):
        raise ImportRejected(answer.sentence, hint=answer.hint)
    return answer


@dataclass
class ImportServices:
    """A database, the services that an import needs, and the published events."""

    folder: Path
    database: Database
    aliases: Aliases
    scoring: Scoring
    imports: ImportService
    clock: FakeClock
    published: list[CommittedEvent] = field(default_factory=list)

    async def import_csv(
        self, text: str, name: str = "list.csv", options: ImportOptions | None = None
    ) -> ImportReport:
        """Import a CSV of this text."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return await self.imports.run(path, options or ImportOptions(), "ana")

    async def list_prospects(self) -> Sequence[ProspectRecord]:
        """Return every prospect, in order of creation."""
        return await self.database.read(
            lambda reader: prospect_search.search_prospects(
                reader, ProspectSearch(), now=self.clock.now(), limit=10_000
            )
        )

    async def get_prospect(self, phone: str) -> ProspectRecord:
        """Return the prospect of a number in any form."""
        found = await self.database.read(
            lambda reader: prospects.find_prospect_by_contact(
                reader, contacts.find_contact_by_alias(reader, phone) or ""
            )
        )
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def open_import_services(
    folder: Path, *, child: ImportProcess | None = None
) -> AsyncIterator[ImportServices]:
    """Open the import service; without ``child``, files are read in this process."""
    published: list[CommittedEvent] = []
    clock = FakeClock(IMPORTED_AT)
    plugins = Plugins()
    plugins.load(blocked=SYNC_ONLY_SETTINGS.plugins.blocked)
    state = folder / "state"
    async with open_database(state, published) as database:
        aliases = Aliases(SuppressionJournal(state).hash)
        scoring = Scoring(load_active_rulesets(RulesSettings()))
        imports = ImportService(
            database,
            plugins,
            scoring,
            aliases,
            clock,
            SYNC_ONLY_SETTINGS,
            import_process=child or InProcessImportReader(),
        )
        yield ImportServices(folder, database, aliases, scoring, imports, clock, published)
