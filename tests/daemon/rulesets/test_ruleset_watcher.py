"""The watcher of the rule folders: a save is seen, whatever became of the folder before it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.rulesets.watcher import RulesetWatcher
from daemon.settings import RulesSettings
from tests.helpers.services.rulesets import RulesetServices, open_ruleset_services

pytestmark = pytest.mark.slow

VETO = (
    "format: leadmaster/gate@1\nvetoes: [{{id: {id}, reason: r, when: {{message.links|gte: 9}}}}]\n"
)


async def _live(services: RulesetServices, veto: str) -> None:
    async with asyncio.timeout(20):
        while all(each.id != veto for each in services.rulesets.gate.ruleset.vetoes):  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)


def _watch(services: RulesetServices) -> RulesetWatcher:
    settings = RulesSettings(dir=str(services.folder / "rules.d"))
    return RulesetWatcher(services.service, settings, poll_seconds=0.1)


async def test_a_folder_that_took_the_place_of_another_is_watched(tmp_path: Path) -> None:
    """As a deployment does it: the old one is renamed, and each later save counts too."""
    own = tmp_path / "rules.d"
    async with open_ruleset_services(tmp_path) as services, _watch(services).running():
        services.write_rules(VETO.format(id="first"), "a.yaml")
        await _live(services, "first")
        (tmp_path / "next").mkdir()
        for name, veto in (("a.yaml", "first"), ("b.yaml", "second")):
            (tmp_path / "next" / name).write_text(VETO.format(id=veto), encoding="utf-8")
        own.rename(tmp_path / "before")
        (tmp_path / "next").rename(own)
        await _live(services, "second")
        services.write_rules(VETO.format(id="third"), "c.yaml")
        await _live(services, "third")


async def test_a_folder_that_could_not_be_watched_is_tried_again(tmp_path: Path) -> None:
    """Here a link that can't even be followed; nobody has to ask once it leads somewhere."""
    own = tmp_path / "rules.d"
    async with open_ruleset_services(tmp_path) as services:
        own.rmdir()
        own.symlink_to("x" * 300)
        async with _watch(services).running():
            await asyncio.sleep(0.05)
            own.unlink()
            own.mkdir()
            services.write_rules(VETO.format(id="late"), "a.yaml")
            await _live(services, "late")


async def test_a_folder_that_appears_later_is_watched(tmp_path: Path) -> None:
    """Nobody has to ask for it."""
    async with open_ruleset_services(tmp_path) as services:
        (tmp_path / "rules.d").rmdir()
        async with _watch(services).running():
            await asyncio.sleep(0)
            (tmp_path / "rules.d").mkdir()
            services.write_rules(VETO.format(id="late"), "a.yaml")
            await _live(services, "late")
            services.write_rules(VETO.format(id="later"), "b.yaml")
            await _live(services, "later")
