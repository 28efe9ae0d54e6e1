"""The ruleset service over a database and an operator's folder, without a daemon."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from daemon.rulesets.active import ActiveRulesets
from daemon.rulesets.check_process import RuleCheckProcess
from daemon.rulesets.service import RulesetService
from daemon.settings import RulesSettings
from storage.db import Database
from storage.events import CommittedEvent
from storage.rulesets import list_activations
from tests.helpers.clock import FakeClock
from tests.helpers.services.database import open_database

CHANNEL_NAMES = ("manual", "simulated")


@dataclass
class RulesetServices:
    """The service over a database and an operator's folder, without a daemon around it."""

    folder: Path
    database: Database
    rulesets: ActiveRulesets
    service: RulesetService
    published: list[CommittedEvent] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def write_rules(self, text: str, name: str = "gate.yaml") -> None:
        """Write a file into the operator's folder."""
        (self.folder / "rules.d" / name).write_text(text, encoding="utf-8")

    def events_of_type(self, word: str) -> list[CommittedEvent]:
        """Return the events of one kind."""
        return [event for event in self.published if event.type == word]

    async def count_activations(self) -> int:
        """Return how often a gate went live, but for the first one."""
        return await self.database.read(
            lambda reader: len([each for each in list_activations(reader, 100) if each.previous])
        )

    @property
    def active_hash(self) -> str:
        """Return the hash of the gate in force."""
        return self.rulesets.gate.ruleset.hash


@contextlib.asynccontextmanager
async def open_ruleset_services(
    folder: Path, trial: RuleCheckProcess | None = None
) -> AsyncIterator[RulesetServices]:
    """Open the service on a folder, as the daemon does at its start."""
    (folder / "rules.d").mkdir(exist_ok=True)
    settings = RulesSettings(dir=str(folder / "rules.d"), shadow=str(folder / "shadow.d"))
    published: list[CommittedEvent] = []
    async with open_database(folder / "state", published) as database:
        rulesets = ActiveRulesets.load(settings)
        clock = FakeClock()
        service = RulesetService(database, rulesets, clock, settings, CHANNEL_NAMES, trial)
        services = RulesetServices(folder, database, rulesets, service, published, clock)
        await service.restore()
        yield services
