"""The console's rule editing as a document.

What is refused, what waits, the shadow, who may what.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daemon.auth.identity import ROLE_SCOPES, Role
from daemon.settings import RulesSettings, Settings
from storage import users
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_ROW,
    ConsoleServer,
    get_page,
    hold_messages,
    open_console,
)
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

FORMAT = "format: leadmaster/gate@1\n"
SHORT = FORMAT + "vetoes: [{id: short, reason: r, when: {message.length|lte: 10}}]\n"


@pytest.fixture
def settings(short_folder: Path) -> Settings:
    """Return settings with a folder for rules and one for a shadow."""
    for name in ("rules.d", "shadow.d"):
        (short_folder / name).mkdir()
    rules = RulesSettings(dir=str(short_folder / "rules.d"), shadow=str(short_folder / "shadow.d"))
    return msgspec.structs.replace(build_settings(short_folder), rules=rules)


@pytest.fixture
async def rule_editor(settings: Settings) -> AsyncIterator[ConsoleServer]:
    """Open an application whose rules may be changed."""
    async with open_console(settings) as made:
        yield made


async def test_what_is_refused_stands_there_with_its_place(
    rule_editor: ConsoleServer, short_folder: Path
) -> None:
    """File, line and column; the remarks on sound files too."""
    file = short_folder / "rules.d" / "ours.yaml"
    file.write_text("- broken\n", encoding="utf-8")
    await rule_editor.api.post("/v1/rules/reload")
    shown = (await get_page(rule_editor, "/rules")).document
    assert 'data-state="rejected"' in shown
    assert f"{file}:1:1" in shown
    file.write_text(SHORT, encoding="utf-8")
    await rule_editor.api.post("/v1/rules/reload")
    shown = (await get_page(rule_editor, "/rules")).document
    assert 'data-state="live"' in shown
    assert 'id="rules-lint"' in shown


async def test_the_shadow_shows_where_it_differs(
    rule_editor: ConsoleServer, short_folder: Path
) -> None:
    """How often, and each example with the way to its message."""
    (short_folder / "shadow.d" / "ours.yaml").write_text(SHORT, encoding="utf-8")
    await rule_editor.api.post("/v1/rules/reload")
    (message,) = await hold_messages(rule_editor, ANA_ROW)
    shown = (await get_page(rule_editor, "/rules")).document
    report = (await rule_editor.api.get("/v1/rules/shadow")).document["standing"]
    assert report["differed"] > 0
    assert f"differently: {report['differed']} of {report['asked']}" in shown
    assert f'href="/messages/{message}"' in shown
    (short_folder / "shadow.d" / "ours.yaml").write_text("- broken\n", encoding="utf-8")
    await rule_editor.api.post("/v1/rules/reload")
    assert "shadow.d/ours.yaml:1:1" in (await get_page(rule_editor, "/rules")).document


async def test_a_question_about_what_is_not_there_is_answered(rule_editor: ConsoleServer) -> None:
    """A rule that nobody wrote, rules that do not wait, and a hash that never was."""
    for path, status in (
        ("change/gate.scores.nothing", 404),
        ("change/nothing", 404),
        ("accept", 404),
        ("rollback/0000", 404),
    ):
        assert (await rule_editor.api.get(f"/pieces/rules/{path}")).status == status, path


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        (
            "gate.thresholds.allow&value=70",
            "value",
            "It has that value already: write another number.",
        ),
        ("gate.thresholds.allow&value=40", "value", "It goes from 51 to 100."),
        ("gate.thresholds.allow&value=nan", "value", "Write a number."),
        ("gate.groups.fatigue&value=", "value", "Write a number."),
        ("gate.scores.unanswered&value=1.5", "value", "Write a whole number."),
        (
            "gate.scores.stale&from_value=90&from_points=0&to_value=30&to_points=-20",
            "to_value",
            "A ramp ends at a higher value than it starts.",
        ),
    ],
)
async def test_nonsense_is_told_beside_its_field(
    rule_editor: ConsoleServer, short_folder: Path, asked: str, field: str, said: str
) -> None:
    """With what was typed still there; in Spanish on a Spanish page; and nothing is written."""
    path = f"/pieces/rules/preview?target={asked}"
    shown = (await get_page(rule_editor, path)).document
    assert f'<p class="field-problem" id="bounds-{field}" role="alert">{said}</p>' in shown
    assert shown.count("aria-invalid") == 1
    assert "data-call" not in shown
    theirs = await rule_editor.api.call("GET", path, headers={"Accept-Language": "es"})
    assert said not in theirs.document
    assert 'role="alert"' in theirs.document
    assert list((short_folder / "rules.d").iterdir()) == []


async def test_the_form_says_what_the_folder_already_says(
    rule_editor: ConsoleServer, short_folder: Path
) -> None:
    """A change that waits is where one goes on from; what is broken is to be mended first."""
    order = {"target": "gate.thresholds.allow", "value": 90, "reason": "careful"}
    await rule_editor.api.post("/v1/rules/change", **order)
    shown = (await get_page(rule_editor, "/pieces/rules/change/gate.thresholds.allow")).document
    assert "In force is 70; the file in the folder already says something else." in shown
    assert 'value="90"' in shown
    (short_folder / "rules.d" / "gate.yaml").write_text("- broken\n", encoding="utf-8")
    shown = (await get_page(rule_editor, "/pieces/rules/change/gate.thresholds.allow")).document
    assert "rules.d/gate.yaml:1:1" in shown
    assert '<h2 id="dialog-title">Correct the files in the folder first</h2>' in shown
    asked = "/pieces/rules/preview?target=gate.thresholds.allow&value=80"
    shown = (await get_page(rule_editor, asked)).document
    assert ("rules.d/gate.yaml:1:1" in shown, "dialog-title" in shown) == (True, False)


async def test_what_differs_is_told_in_the_language_of_the_page(
    rule_editor: ConsoleServer, short_folder: Path
) -> None:
    """Threshold, rule, field and value; file and line as they are. And who may accept it."""
    text = FORMAT + "thresholds: [{verdict: allow, from: 90}]\nlists: {odd: [x]}\n"
    (short_folder / "rules.d" / "gate.yaml").write_text(text, encoding="utf-8")
    await rule_editor.api.post(
        "/v1/rules/change", target="gate.groups.fatigue", value=9, reason="why"
    )
    state = (await rule_editor.api.get("/v1/rules")).document
    pages = [
        (await rule_editor.api.call("GET", path, headers={"Accept-Language": "es"})).document
        for path in ("/rules", "/pieces/rules/accept")
    ]
    assert state["waiting"], state["rejected"]
    for shown in pages:
        assert "<strong>Umbral permitir</strong>: desde <code>70</code>" in shown
        assert "<strong>Grupo fatigue</strong>: como mucho <code>25</code>" in shown
        assert "<strong>Lista odd</strong>: nueva" in shown
        assert "is new" not in shown
    assert "No hay ningún usuario que pueda aceptarlo" in pages[0]


async def test_who_may_accept_is_told_by_name(rule_editor: ConsoleServer) -> None:
    """Beside what waits, and before one writes what would: admins who may still come in."""
    now = rule_editor.services.clock.now()

    def people(tx: Tx) -> None:
        for name, role in (("ada", "admin"), ("eva", "operator"), ("bob", "admin")):
            users.insert_user(tx, name, role, None, now)
        users.set_user_disabled(tx, "bob", now)

    await rule_editor.services.database.write(people)
    asked = "/pieces/rules/preview?target=gate.thresholds.allow&value=90"
    assert "Can be accepted by: ada." in (await get_page(rule_editor, asked)).document
    order = {"target": "gate.thresholds.allow", "value": 90, "reason": "careful"}
    await rule_editor.api.post("/v1/rules/change", **order)
    assert "Can be accepted by: ada." in (await get_page(rule_editor, "/rules")).document


async def test_after_a_rollback_the_card_says_that_the_folder_differs(
    rule_editor: ConsoleServer, short_folder: Path
) -> None:
    """Where it was edited meanwhile: which file, and what to do; until the file is mended."""
    before = (await rule_editor.api.get("/v1/rules")).document["gate"]["hash"]
    file = short_folder / "rules.d" / "ours.yaml"
    file.write_text(SHORT, encoding="utf-8")
    await rule_editor.api.post("/v1/rules/reload")
    file.write_text(f"# mine\n{SHORT}", encoding="utf-8")
    await rule_editor.api.post("/v1/rules/rollback", hash=before, reason="too strict")
    shown = (await get_page(rule_editor, "/rules")).document
    assert (
        "The folder still differs from what is in force: what was rolled back is still written in"
        in shown
    )
    assert f"what was rolled back is still written in <code>{file}</code>" in shown
    assert "Take the change out, or accept it anyway." in shown
    waiting = (await rule_editor.api.get("/v1/rules")).document["waiting"]["hash"]
    await rule_editor.api.post("/v1/rules/discard", hash=waiting, reason="it was too strict")
    assert not file.exists()
    assert "folder-differs" not in (await get_page(rule_editor, "/rules")).document


async def test_who_may_only_read_is_offered_nothing(settings: Settings) -> None:
    """An operator sees the state of the rules, and no button that would be refused."""
    async with open_console(settings, ROLE_SCOPES[Role.OPERATOR]) as made:
        shown = (await get_page(made, "/rules")).document
    assert 'data-state="live"' in shown
    assert "/pieces/rules/" not in shown
    assert "/v1/rules/" not in shown
