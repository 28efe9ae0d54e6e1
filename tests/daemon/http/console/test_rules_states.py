"""The pages of the rules and of the audit in every state, in both languages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daemon.http.console.language import load_language
from daemon.settings import RulesSettings, Settings
from storage import audit, users
from storage.tx import Tx
from tests.helpers.client.console import (
    ANA_CSV,
    ANA_ROW,
    HTMX_HEADERS,
    ConsoleServer,
    hold_messages,
    open_console,
    render,
)
from tests.helpers.client.http import DAYTIME, build_settings

pytestmark = pytest.mark.slow

FORMAT = "format: leadmaster/gate@1\n"
EVERYTHING = """\
lists: {odd: [x, y], even: [z]}
windows:
  night: {days: [mon, wed, thu], from: "22:00", to: "23:30", holidays: true}
vetoes:
  - {id: short, reason: "Too short", when: {message.links|gte: 11}}
  - {id: late, reason: L, when: {message.links|gte: 12}, defer: until_window(night)}
  - {id: unchecked, reason: U, when: {message.links|gte: 13}, defer: until_checked}
  - {id: elsewhere, reason: E, when: {message.links|gte: 14}, route: manual}
  - {id: looked_at, reason: H, when: {message.links|gte: 15}, hold: true}
scores:
  - {id: linked, points: 0, reason: "It holds a link", when: {message.links|gte: 1}}
  - {id: many, points: -5, reason: "Many links", when: {message.links|gte: 2}}
groups:
  links: {rules: [linked, many], cap: 9}
"""
SHORT = "vetoes: [{id: v, reason: r, when: {message.length|lte: 10}}]\n"
CHANGES = (
    *("gate.thresholds.allow", "gate.scores.unanswered", "gate.scores.stale"),
    *("gate.groups.fatigue", "score.bands.fresh_or_known"),
)
PREVIEWS = (
    *("gate.thresholds.allow&value=90", "gate.thresholds.allow&value=nan"),
    *("gate.groups.fatigue&value=9", "gate.scores.unanswered&value=-1"),
    "gate.scores.stale&from_value=30&from_points=0&to_value=90&to_points=-21",
    "gate.scores.stale&from_value=90&from_points=0&to_value=30&to_points=-20",
    *("score.bands.fresh_or_known&value=61", "gate.scores.nothing&value=1"),
)


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


async def load(console: ConsoleServer, path: Path, text: str) -> None:
    """Write a file of rules and have the folder checked."""
    await asyncio.to_thread(path.write_text, text, encoding="utf-8")
    await console.api.post("/v1/rules/reload")


async def test_the_rules_in_every_state(rule_editor: ConsoleServer, short_folder: Path) -> None:
    """Live, refused, with remarks, waiting, accepted, rolled back, and with a shadow beside."""
    before = (await rule_editor.api.get("/v1/rules")).document["gate"]["hash"]
    file, shadow = short_folder / "rules.d" / "gate.yaml", short_folder / "shadow.d" / "ours.yaml"

    async def shows(*words: str) -> None:
        shown = await render(rule_editor, "/rules")
        for each in words:
            assert each in shown

    await shows('data-state="live"', "Changes are written to")
    await load(
        rule_editor,
        shadow,
        FORMAT + SHORT,
    )
    await hold_messages(rule_editor, ANA_ROW)
    await shows("The rules on trial would have decided differently")
    await load(rule_editor, shadow, "- broken\n")
    await shows("shadow.d/ours.yaml:1:1")
    await load(rule_editor, file, "- broken\n")
    await shows('data-state="rejected"')
    await load(rule_editor, file, FORMAT + EVERYTHING)
    order = {"target": "gate.thresholds.allow", "value": 90, "reason": "careful"}
    await rule_editor.api.call("POST", "/v1/rules/change", json=order)
    await shows('data-state="waiting"', "No user can accept it", "more-changes")
    await rule_editor.services.database.write(
        lambda tx: users.insert_user(tx, "ada", "admin", None, DAYTIME)
    )
    await shows("Can be accepted by: ada.")
    waiting = (await rule_editor.api.get("/v1/rules")).document["waiting"]["hash"]
    await render(rule_editor, "/pieces/rules/accept", f"/pieces/rules/rollback/{before}")
    assert "from 70" not in await render(rule_editor, "/pieces/rules/discard")
    await rule_editor.api.post("/v1/rules/accept", hash=waiting, reason="it is right")
    await shows("Accepted", 'data-state="live"', "Too short", "until the hours of")
    await shows("it is right", "70", "90", "The first rules.", "Take the change out")
    text = file.read_text(encoding="utf-8")
    first, second = (line for line in EVERYTHING.splitlines(True) if "points:" in line)
    assert first + second in text
    await load(rule_editor, file, text.replace(first + second, second + first))
    await shows("Only the order in the files changed.")
    edited = f"# mine\n{file.read_text(encoding='utf-8')}"
    await asyncio.to_thread(file.write_text, edited, encoding="utf-8")
    await rule_editor.api.post("/v1/rules/rollback", hash=before, reason="too strict")
    await shows("Rolled back", "folder-differs", "Accept anyway")
    assert before in await render(rule_editor, f"/pieces/rules/rollback/{before}")


async def test_the_form_of_every_change(rule_editor: ConsoleServer, short_folder: Path) -> None:
    """What it asks, what it would bring, what can't be; before and after a change that waits."""
    await hold_messages(rule_editor, ANA_ROW)
    forms = [f"/pieces/rules/change/{target}" for target in CHANGES]
    previews = [f"/pieces/rules/preview?target={asked}" for asked in PREVIEWS]
    shown = await render(rule_editor, *forms, *previews)
    assert "It is written to the file and waits" in shown
    assert "It is written to the file and takes effect at once" in shown
    assert "Would no longer be allowed" in shown
    order = {"target": "gate.thresholds.allow", "value": 91, "reason": "careful"}
    await rule_editor.api.call("POST", "/v1/rules/change", json=order)
    assert "the file in the folder already says something else" in await render(rule_editor, *forms)
    (short_folder / "rules.d" / "gate.yaml").write_text("- broken\n", encoding="utf-8")
    assert "Correct the files in the folder first" in await render(rule_editor, *forms, *previews)


async def test_rules_without_a_folder_and_by_one_engine(short_folder: Path) -> None:
    """Nothing can be changed, and the page says why; and that one engine judges alone."""
    rules = RulesSettings(engines="reference")
    settings = msgspec.structs.replace(build_settings(short_folder), rules=rules)
    async with open_console(settings) as made:
        shown = await render(made, "/rules")
    assert 'id="no-folder"' in shown
    assert "one engine alone" in shown


async def test_the_audit_in_every_state(console: ConsoleServer) -> None:
    """Each action that has words and one that has none; subjects with a page, a name, neither."""
    assert "Nothing to show" in await render(console, "/audit?who=nobody")
    await console.import_list(ANA_CSV, statement="ticked the box")
    order = {"phone": "+5491141234568", "cartera_origen": "a call"}
    made = (await console.api.call("POST", "/v1/prospects", json=order)).document["id"]
    actions = [
        key.removeprefix("action.")
        for key in load_language("en").words
        if key.startswith("action.")
    ]
    subjects = ("ventas", made, "msg_0", "imp_0", "con_0")
    details: tuple[dict[str, object], ...] = ({}, {"name": "x", "scopes": ["a", "b"], "odd_key": 3})

    def write(tx: Tx) -> None:
        for number, action in enumerate((*actions, "a_new_action")):
            audit.insert_audit_entry(
                tx,
                at=DAYTIME,
                who=("ana", "clock")[number % 2],
                action=action,
                subject=subjects[number % len(subjects)],
                reason="because" if number % 3 else "",
                detail=details[number % 2],
            )

    await console.services.database.write(write)
    shown = await render(console, "/audit?limit=100")
    assert "a new action" in shown
    assert "odd key: 3" in shown
    for query in ("limit=2", "limit=2&before=9", "who=ana", "subject=ventas", "who=nobody"):
        await render(console, f"/audit?{query}")
        await render(console, f"/audit?{query}", headers=HTMX_HEADERS)
    for action in actions:
        await render(console, f"/audit?action={action}")
