"""`/v1/rules` through a real door: what is live, what waits, what a save brings, and hindsight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from daemon.settings import RulesSettings
from tests.helpers.client.http import HttpServer, build_settings, hold_message, open_http_server

pytestmark = pytest.mark.slow

FORMAT = "format: leadmaster/gate@1\n"
RELAXED = (
    FORMAT + "score: {max: 99}\nvetoes:\n  - {id: many, reason: r, when: {message.links|gte: 9}}\n"
)
MANY = FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n"
SHORT = FORMAT + "vetoes: [{id: short, reason: r, when: {message.length|lte: 10}}]\n"


@pytest.fixture
async def rule_editor(short_folder: Path, tmp_path: Path) -> AsyncIterator[HttpServer]:
    """A house whose rules lie in a folder of the test's own."""
    for name in ("rules.d", "shadow.d"):
        (tmp_path / name).mkdir()
    rules = RulesSettings(dir=str(tmp_path / "rules.d"), shadow=str(tmp_path / "shadow.d"))
    settings = msgspec.structs.replace(build_settings(short_folder), rules=rules)
    async with open_http_server(settings) as opened:
        yield opened


def _save(tmp_path: Path, text: str, folder: str = "rules.d") -> None:
    (tmp_path / folder / "ours.yaml").write_text(text, encoding="utf-8")


async def test_a_change_waits_is_accepted_and_rolled_back(
    rule_editor: HttpServer, tmp_path: Path
) -> None:
    """Status, figures and history say the same at each step."""
    api = rule_editor.control
    before = (await api.get("/v1/rules")).document
    (tmp_path / "rules.d" / "gate.yaml").write_text(RELAXED, encoding="utf-8")
    state = (await api.post("/v1/rules/reload")).document
    assert (state["gate"], state["rejected"]) == (before["gate"], None)
    waiting = state["waiting"]["hash"]
    status = (await api.get("/v1/status")).document["rules"]
    assert (status["gate"], status["waiting"]) == (before["gate"]["hash"], waiting)
    assert "leadmaster_rules_waiting 1.0" in (await api.get("/metrics")).document

    assert (await api.post("/v1/rules/accept", hash="ffff", reason="why not")).status == 404
    assert (await api.post("/v1/rules/accept", hash="no hash", reason="why not")).status == 400
    accepted = await api.post("/v1/rules/accept", hash=waiting[:12], reason="they asked")
    assert accepted.document["gate"]["hash"] == waiting
    assert f'leadmaster_rules_live{{hash="{waiting}"}} 1.0' in (await api.get("/metrics")).document
    again = await api.post("/v1/rules/rollback", hash=waiting, reason="by mistake")
    assert again.status == 409
    undone = await api.post("/v1/rules/rollback", hash=before["gate"]["hash"], reason="no good")
    assert undone.document["gate"]["hash"] == before["gate"]["hash"]
    items = (await api.get("/v1/rules/history?limit=2")).document["items"]
    assert [(each["how"], each["reason"]) for each in items] == [
        ("rolled_back", "no good"),
        ("accepted", "they asked"),
    ]
    assert [each["changes"] for each in items] == [None, None]
    items = (await api.get("/v1/rules/history?changes=true")).document["items"]
    assert items[0]["changes"] == ["score max: 99 → 100", "vetoes many: is gone"]
    assert items[1]["changes"][0] == "score max: 100 → 99"
    assert [each["changes"] for each in items[2:]] == [None, None]  # the first ones
    await rule_editor.services.database.write(
        lambda tx: tx.execute(
            "INSERT INTO ruleset_history (at, format, hash, previous, how, who, reason)"
            " SELECT a.at, a.format, a.hash, a.previous, a.how, a.who, a.reason"
            " FROM ruleset_history AS a, ruleset_history AS b, ruleset_history AS c"
        )
    )
    for asked, n in (("changes=true&limit=50", 20), ("changes=true&limit=3", 3), ("limit=50", 50)):
        assert len((await api.get(f"/v1/rules/history?{asked}")).document["items"]) == n
    stored = (await api.get(f"/v1/rules/sets/{waiting}")).document
    assert [file["own"] for file in stored["files"]] == [False, True]
    assert (await api.get("/v1/rules/sets/0000")).status == 404


async def test_a_save_is_seen_and_told(rule_editor: HttpServer, tmp_path: Path) -> None:
    """Nobody asks: the watch sees it; what is broken is counted, and mending it clears that."""
    api, desk = rule_editor.control, rule_editor.services.ruleset_service
    await _until(
        lambda: desk.get_status().rejected is not None, lambda: _save(tmp_path, "- broken\n")
    )
    assert (await api.get("/v1/status")).document["rules"]["problems"] == 1
    _save(tmp_path, MANY)
    await _until(lambda: "ours.yaml" in "".join(desk.get_status().gate.files))
    assert desk.get_status().rejected is None
    assert desk.get_status().warnings


async def test_a_hang_up_finds_a_folder_that_came_later(short_folder: Path, tmp_path: Path) -> None:
    """And watches it from then on."""
    rules = RulesSettings(dir=str(tmp_path / "later.d"))
    async with open_http_server(
        msgspec.structs.replace(build_settings(short_folder), rules=rules)
    ) as opened:
        desk = opened.services.ruleset_service
        (tmp_path / "later.d").mkdir()
        (tmp_path / "later.d" / "ours.yaml").write_text(MANY, encoding="utf-8")
        async with asyncio.timeout(60):
            await opened.services.ruleset_watcher.reload()
        assert len(desk.get_status().gate.files) == 2


async def _until(holds: Callable[[], bool], again: Callable[[], object] = lambda: None) -> None:
    """Come back when it holds; the watch works in a thread of its own and rings no bell of ours.

    Nor does it tell when it has begun to look: what it may have missed is done `again`.
    """
    for look in range(1200):
        if holds():
            return
        if look % 60 == 0:
            again()
        await asyncio.sleep(0.05)
    pytest.fail("it never held")


async def test_a_message_is_explained_and_supposed(rule_editor: HttpServer) -> None:
    """As the command line asks it."""
    api = rule_editor.control
    message = (await hold_message(api))["id"]
    found = (await api.get(f"/v1/rules/explain/{message}")).document
    assert found["verdict"] == "review"
    supposed = f"/v1/rules/explain/{message}?prospect.permission=refused"
    assert (await api.get(supposed)).document["verdict"] == "block"
    wrong = await api.get(f"/v1/rules/explain/{message}?prospect.permision=refused")
    assert (wrong.status, wrong.document["hint"]) == (400, "Did you mean prospect.permission?")
    assert (await api.get("/v1/rules/explain/msg_0")).status == 404


async def test_a_backtest_tells_line_by_line(rule_editor: HttpServer, tmp_path: Path) -> None:
    """Of files that are sent along, or of the folder; what can't be read is refused."""
    api = rule_editor.control
    await hold_message(api)
    files = [{"path": "ours.yaml", "text": SHORT, "own": True}]
    *progress, last = (await api.post("/v1/rules/backtest", files=files)).document
    assert progress[-1]["done"] == progress[-1]["total"] == 1
    assert (last["type"], last["flips"]) == ("report", {"review → block": 1})
    (live,) = (await api.post("/v1/rules/backtest", examples=0)).document[-1:]
    assert live["flips"] == {}
    files = [{"path": "gate.yaml", "text": FORMAT, "own": False}]
    (refused,) = (await api.post("/v1/rules/backtest", files=files)).document
    assert refused["type"] == "refused"
    (tmp_path / "rules.d" / "x.yaml").write_bytes(b"\xff")
    assert (await api.post("/v1/rules/backtest")).status == 422


async def test_the_shadow_reports(rule_editor: HttpServer, tmp_path: Path) -> None:
    """How often it was asked, and how often it would have said otherwise."""
    api = rule_editor.control
    assert (await api.get("/v1/rules/shadow")).document["shadow"] is None
    _save(tmp_path, SHORT, "shadow.d")
    await api.post("/v1/rules/reload")
    await hold_message(api)
    report = (await api.get("/v1/rules/shadow?limit=5")).document
    assert (report["standing"]["asked"], report["standing"]["differed"]) == (1, 1)
    assert report["standing"]["flips"] == {"review → block": 1}
    assert [(each["live"], each["shadow"]) for each in report["examples"]] == [("review", "block")]
    assert json.dumps(report).count("Hola") == 0
