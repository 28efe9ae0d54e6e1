"""`/v1/rules/change` through a real door: foreseen, written, live or waiting, and refused."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import rules
from daemon.auth.identity import Scope
from daemon.errors import Unavailable
from daemon.rulesets import rule_files
from daemon.settings import RulesSettings
from storage import audit
from tests.helpers.client.console import open_console
from tests.helpers.client.http import HttpServer, build_settings, hold_message, open_http_server

pytestmark = pytest.mark.slow

ALLOW = {"target": "gate.thresholds.allow", "value": 90}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return an operator's folder that nobody else may read."""
    folder = tmp_path / "rules.d"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
async def rule_editor(short_folder: Path, own: Path) -> AsyncIterator[HttpServer]:
    """A house whose rules lie in a folder of the test's own."""
    settings = msgspec.structs.replace(
        build_settings(short_folder), rules=RulesSettings(dir=str(own))
    )
    async with open_http_server(settings) as opened_doors:
        yield opened_doors


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return [each.name for each in folder.iterdir()]


async def test_a_dry_run_tells_who_would_flip_and_changes_nothing(
    rule_editor: HttpServer, own: Path
) -> None:
    """Prospects by name, before and after; no file, no hash, no audit."""
    api = rule_editor.control
    await hold_message(api)
    before = (await api.get("/v1/rules")).document
    raised = {"value": 95} | {"target": "gate.thresholds.review"}
    assert (await api.post("/v1/rules/change", **raised, dry_run=True)).status == 422
    told = (await api.post("/v1/rules/change", **ALLOW, dry_run=True)).document
    assert (told["before"], told["after"], told["waits"]) == (70, 90, True)
    assert told["files"] == [str(own / "gate.yaml")]
    assert told["examples"]
    assert told["report"]["decisions"] == 1
    assert told["state"] == before == (await api.get("/v1/rules")).document
    assert names(own) == []


async def test_points_go_live_and_the_hash_says_so(rule_editor: HttpServer, own: Path) -> None:
    """The file has the folder's rights, the history the reason, the audit the figures."""
    api = rule_editor.control
    before = (await api.get("/v1/rules")).document["gate"]["hash"]
    order = {"target": "gate.scores.unanswered", "value": -20}
    made = (await api.post("/v1/rules/change", **order, reason="they do not mind")).document
    assert (made["waits"], made["report"], made["state"]["waiting"]) == (False, None, None)
    assert made["state"]["gate"]["hash"] != before
    assert str(own / "gate.yaml") in made["state"]["gate"]["files"]
    assert stat.S_IMODE((own / "gate.yaml").stat().st_mode) == 0o600
    (entry,) = (await api.get("/v1/rules/history?limit=1")).document["items"]
    assert (entry["how"], entry["reason"]) == ("loaded", "they do not mind")
    (noted,) = await rule_editor.services.database.read(
        lambda reader: audit.list_subject_audit_entries(reader, "scores.unanswered")
    )
    assert (noted.action, noted.reason) == ("rules_changed", "they do not mind")


async def test_a_threshold_waits_to_be_accepted(rule_editor: HttpServer, own: Path) -> None:
    """What a person wrote in the file stays, and so do the file's rights."""
    api, file = rule_editor.control, own / "gate.yaml"
    file.write_text("# ours\nformat: leadmaster/gate@1\n", encoding="utf-8")
    file.chmod(0o640)
    made = (await api.post("/v1/rules/change", **ALLOW, reason="careful")).document
    assert made["waits"]
    assert made["state"]["waiting"]["gate"] != made["state"]["gate"]["hash"]
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ours\nformat: leadmaster/gate@1\n")
    assert "- {verdict: allow, from: 90}" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert names(own) == ["gate.yaml"]


async def test_a_file_in_a_shared_folder_stays_one_that_its_group_edits(
    rule_editor: HttpServer, own: Path
) -> None:
    """A person's file is ours after an edit, and no less theirs: the folder is its group's."""
    file = own / "gate.yaml"
    own.chmod(0o2770)  # noqa: ASYNC240 - nobody waits
    file.write_text("format: leadmaster/gate@1\n", encoding="utf-8")
    file.chmod(0o644)
    order = {"target": "gate.scores.unanswered", "value": -20}
    await rule_editor.control.post("/v1/rules/change", **order, reason="they do not mind")
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


@pytest.mark.parametrize(
    ("order", "status", "said"),
    [
        ({"target": "gate.thresholds.allow", "value": 75}, 400, "reason"),
        ({"target": "gate.nothing", "value": 75, "dry_run": True}, 400, "gate.nothing"),
        ({**ALLOW, "value": 70, "dry_run": True}, 409, "70 already"),
        ({**ALLOW, "value": 40, "reason": "why not"}, 422, "gate.yaml:13:29"),
        ({**ALLOW, "value": 1.5, "dry_run": True}, 400, "whole number"),
    ],
)
async def test_a_bad_value_is_refused_before_it_is_written(
    rule_editor: HttpServer, own: Path, order: dict[str, object], status: int, said: str
) -> None:
    """In a sentence, with file and line where a file is to blame."""
    reply = await rule_editor.control.call("POST", "/v1/rules/change", json=order)
    assert (reply.status, said in reply.document["detail"]) == (status, True), reply.document
    assert names(own) == []


async def test_a_ramp_is_changed_by_its_ends(rule_editor: HttpServer, own: Path) -> None:
    """As the file names them; what was and what will be come back in the same form."""
    ends = {"from": {"value": 30, "points": 0}, "to": {"value": 60, "points": -40}}
    order = {"target": "gate.scores.stale", "value": ends, "reason": "it ages faster"}
    made = (await rule_editor.control.call("POST", "/v1/rules/change", json=order)).document
    assert made["before"] == {
        "from": {"value": 30, "points": 0},
        "to": {"value": 90, "points": -20},
    }
    assert made["after"] == ends
    assert "to: [60, -40]" in (own / "gate.yaml").read_text(encoding="utf-8")
    (noted,) = await rule_editor.services.database.read(
        lambda reader: audit.list_subject_audit_entries(reader, "scores.stale")
    )
    assert noted.detail["after"] == "{from: [30, 0], to: [60, -40]}"


@pytest.mark.parametrize(("name", "said"), [("", "is set"), ("/nowhere/rules.d", "does not exist")])
async def test_without_a_folder_it_says_what_to_do(
    short_folder: Path, name: str, said: str
) -> None:
    """A setting, or a folder to make."""
    settings = msgspec.structs.replace(build_settings(short_folder), rules=RulesSettings(dir=name))
    async with open_http_server(settings) as opened_doors:
        reply = await opened_doors.control.post("/v1/rules/change", **ALLOW, dry_run=True)
    assert (reply.status, said in reply.document["detail"]) == (409, True)
    assert reply.document["hint"]


async def test_who_may_not_read_prospects_gets_figures_alone(short_folder: Path, own: Path) -> None:
    """The right to the rules is no right to names."""
    settings = msgspec.structs.replace(
        build_settings(short_folder), rules=RulesSettings(dir=str(own))
    )
    async with open_console(settings, frozenset({Scope.RULES_WRITE, Scope.RULES_READ})) as console:
        told = await console.api.post("/v1/rules/change", **ALLOW, dry_run=True)
    assert (told.status, told.document["report"]["examples"]) == (200, [])


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    """With what the system says of it; a draft that was left behind is in nobody's way."""
    lost = rules.RuleFile(str(tmp_path / "gone" / "gate.yaml"), "x")
    with pytest.raises(Unavailable, match=r"gate\.yaml could not be written: No such file"):
        rule_files.write_rule_files([lost])
    (tmp_path / ".gate.yaml.new").write_text("half", encoding="utf-8")
    rule_files.write_rule_files([rules.RuleFile(str(tmp_path / "gate.yaml"), "whole")])
    assert names(tmp_path) == ["gate.yaml"]
