"""The watcher of the rule folders: a save is seen, whatever became of the folder before it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from daemon.rulesets.watcher import RulesetWatcher
from daemon.settings import RulesSettings
from storage.errors import DiskFull
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
    return RulesetWatcher(services.service, settings, poll_seconds=0.1, retry_seconds=0.1)


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


async def test_a_link_that_leads_elsewhere_is_followed(tmp_path: Path) -> None:
    """A release is put in force by one link, of the folder or of a file in it."""
    own = tmp_path / "rules.d"
    async with open_ruleset_services(tmp_path) as services:
        watcher = _watch(services)
        own.rmdir()
        for release in ("one", "two"):
            (tmp_path / release).mkdir()
            text = VETO.format(id=release)
            (tmp_path / release / "a.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "two" / "one.yaml").write_text(VETO.format(id="one"), encoding="utf-8")
        for name in ("three", "four"):
            (tmp_path / f"{name}.yaml").write_text(VETO.format(id=name), encoding="utf-8")
        own.symlink_to("one")
        async with watcher.running():
            await _live(services, "one")
            (tmp_path / "next").symlink_to("two")
            (tmp_path / "next").rename(own)
            await _live(services, "two")
            (own / "b.yaml").symlink_to(tmp_path / "three.yaml")
            await _live(services, "three")
            (tmp_path / "next").symlink_to(tmp_path / "four.yaml")
            (tmp_path / "next").rename(own / "b.yaml")
            await _until_waiting(services)


async def test_a_save_of_the_same_length_and_time_is_seen(tmp_path: Path) -> None:
    """As of a program that writes in place, and puts the file's time back."""
    async with open_ruleset_services(tmp_path) as services:
        watcher = _watch(services)
        services.write_rules(VETO.format(id="first"))
        path = tmp_path / "rules.d" / "gate.yaml"
        before = path.stat()
        async with watcher.running():
            await _live(services, "first")
            services.write_rules(VETO.format(id="other"))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            assert (path.stat().st_size, path.stat().st_mtime_ns) == (
                before.st_size,
                before.st_mtime_ns,
            )
            await _until_waiting(services)


async def test_a_file_that_is_written_all_the_time_goes_live(tmp_path: Path) -> None:
    """It never comes to rest; waiting for that has an end."""
    path = tmp_path / "rules.d" / "gate.yaml"
    async with open_ruleset_services(tmp_path) as services, _watch(services).running():
        services.write_rules(VETO.format(id="restless"))

        async def write_on() -> None:
            while True:
                path.touch()
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write_on())
        try:
            await _live(services, "restless")
        finally:
            writing.cancel()


async def test_what_no_rule_file_is_reloads_nothing(tmp_path: Path) -> None:
    """Such as an editor's own, which come and go with each key."""
    async with open_ruleset_services(tmp_path) as services:
        watcher = _watch(services)
        services.write_rules("nonsense")
        async with watcher.running():
            await _until_rejected(services)
            rejected = services.service.get_status().rejected
            for name in (".gate.yaml.swp", "gate.yaml~", "4913", ".#gate.yaml"):
                (tmp_path / "rules.d" / name).write_text("x", encoding="utf-8")
            await asyncio.sleep(0.5)  # several looks: a reload would reject the file once more
            assert services.service.get_status().rejected is rejected


async def test_a_save_that_could_not_be_stored_goes_live_later(tmp_path: Path) -> None:
    """The disk was full for a while; nobody saves the file once more."""
    async with open_ruleset_services(tmp_path) as services:
        watcher = _watch(services)
        services.database.refuse_writes(DiskFull("The disk is full.", "Free some space."))
        services.write_rules(VETO.format(id="kept"))
        async with watcher.running():
            with capture_logs() as lines:
                async with asyncio.timeout(20):
                    while not any(line["event"] == "reload_failed" for line in lines):  # noqa: ASYNC110 - seen from outside
                        await asyncio.sleep(0.02)
            services.database.accept_writes()
            await _live(services, "kept")


async def _until_waiting(services: RulesetServices) -> None:
    """Wait for rules that a person has to accept: here, a veto is gone."""
    async with asyncio.timeout(20):
        while services.service.get_status().waiting is None:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)


async def _until_rejected(services: RulesetServices) -> None:
    async with asyncio.timeout(20):
        while services.service.get_status().rejected is None:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)
