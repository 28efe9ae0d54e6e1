"""The desk of the rules as a document: what is refused, what waits, the shadow, who may what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daemon.auth.scopes import ROLE_SCOPES, Role
from daemon.settings import RulesSettings, Settings
from tests.browser.harness import Console, opened
from tests.browser.test_review import ANA, held
from tests.daemon.pages.test_pages import got
from tests.helpers.doors import settings_for

FORMAT = "format: leadmaster/gate@1\n"
SHORT = FORMAT + "vetoes: [{id: short, reason: r, when: {message.length|lte: 10}}]\n"


@pytest.fixture
def settings(short_folder: Path) -> Settings:
    """Return settings with a folder for rules and one for a shadow."""
    for name in ("rules.d", "shadow.d"):
        (short_folder / name).mkdir()
    rules = RulesSettings(dir=str(short_folder / "rules.d"), shadow=str(short_folder / "shadow.d"))
    return msgspec.structs.replace(settings_for(short_folder), rules=rules)


@pytest.fixture
async def keeper(settings: Settings) -> AsyncIterator[Console]:
    """Open a house whose rules may be changed."""
    async with opened(settings) as made:
        yield made


async def test_what_is_refused_stands_there_with_its_place(
    keeper: Console, short_folder: Path
) -> None:
    """File, line and column; the remarks on sound files too."""
    file = short_folder / "rules.d" / "ours.yaml"
    file.write_text("- broken\n", encoding="utf-8")
    await keeper.api.post("/v1/rules/reload")
    shown = (await got(keeper, "/rules")).document
    assert 'data-state="rejected"' in shown
    assert f"{file}:1:1" in shown
    file.write_text(SHORT, encoding="utf-8")
    await keeper.api.post("/v1/rules/reload")
    shown = (await got(keeper, "/rules")).document
    assert 'data-state="live"' in shown
    assert 'id="rules-lint"' in shown


async def test_the_shadow_shows_where_it_differs(keeper: Console, short_folder: Path) -> None:
    """How often, and each example with the way to its message."""
    (short_folder / "shadow.d" / "ours.yaml").write_text(SHORT, encoding="utf-8")
    await keeper.api.post("/v1/rules/reload")
    (message,) = await held(keeper, short_folder, ANA)
    shown = (await got(keeper, "/rules")).document
    report = (await keeper.api.get("/v1/rules/shadow")).document["standing"]
    assert report["differed"] > 0
    assert f"otherwise: {report['differed']} of {report['asked']}" in shown
    assert f'href="/messages/{message}"' in shown
    (short_folder / "shadow.d" / "ours.yaml").write_text("- broken\n", encoding="utf-8")
    await keeper.api.post("/v1/rules/reload")
    assert "shadow.d/ours.yaml:1:1" in (await got(keeper, "/rules")).document


async def test_a_question_about_what_is_not_there_is_answered(keeper: Console) -> None:
    """A rule that nobody wrote, a ramp, rules that do not wait, and a hash that never was."""
    for path, status in (
        ("change/gate.scores.nothing", 404),
        ("change/gate.scores.stale", 404),
        ("change/nothing", 400),
        ("accept", 404),
        ("rollback/0000", 404),
    ):
        assert (await keeper.api.get(f"/pieces/rules/{path}")).status == status, path
    asked = "/pieces/rules/preview?target=gate.thresholds.allow&value=70"
    assert "70 already" in (await got(keeper, asked)).document


async def test_who_may_only_read_is_offered_nothing(settings: Settings) -> None:
    """An operator sees the state of the rules, and no button that would be refused."""
    async with opened(settings, ROLE_SCOPES[Role.OPERATOR]) as made:
        shown = (await got(made, "/rules")).document
    assert 'data-state="live"' in shown
    assert "/pieces/rules/" not in shown
    assert "/v1/rules/" not in shown
