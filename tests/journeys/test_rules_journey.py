"""A gate keeper's day: six edits of a running daemon's rule files, and what each came to.

After each the active hash, the event, the command line and the interface say the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.client import ControlClient
from tests.helpers.client.process import RULES_DIR_SETTINGS, DaemonProcess, poll_until, run_daemon
from tests.helpers.engines import EXAMPLES_RAN

FORMAT = "format: leadmaster/gate@1\n"
GOOD = (
    FORMAT + "vetoes:\n"
    "  - {id: no_links, reason: Links scare people, when: {message.links|gte: 3}}\n"
    "tests:\n"
    "  - {name: three links, given: {message.links: 3}, expect: {vetoes: [no_links]}}\n"
)
RELAXED = (
    FORMAT + "vetoes:\n"
    "  - {id: closed, when: {message.duplicate: true}}\n"
    "tests:\n"
    "  - {name: at night it waits for the morning, expect: {verdict: allow, vetoes: []}}\n"
    "  - name: what must wait and be looked at shows in the queue already\n"
    "    expect: {verdict: review, vetoes: [first_time_relationship]}\n"
    "  - {name: the same text twice is once too often, expect: {vetoes: [duplicate, closed]}}\n"
    "  - {name: whether it is a duplicate is not known, expect: {vetoes: [duplicate, closed]}}\n"
)
LAX = FORMAT + "vetoes:\n  - {id: first_time_relationship, when: {message.links|gte: 99}}\n"
WRONG = [
    ("vetoes: [\n", "gate.yaml:2:1: This is not valid YAML"),
    (
        FORMAT + "vetoes:\n  - {id: x, reason: r, when: {prospect.permision: none}}\n",
        "gate.yaml:3:31: There is no fact `prospect.permision` (did you mean prospect.permission?)",
    ),
    (
        FORMAT + "scores:\n  - {id: unanswered, points: -90}\n",
        "The example `not answered` fails: score should be 65, is 55",
    ),
    (
        FORMAT + "vetoes:\n  - {id: x, reason: r, when: {message.text|matches: '(a|a)*b'}}\n",
        "gate.yaml:3:53: `(a|a)*b` could search for ever",
    ),
]


@dataclass
class RuleEditor:
    """Somebody with an editor and a terminal beside a running daemon."""

    daemon: DaemonProcess

    def save(self, text: str) -> None:
        """Save the file as most editors do: write beside it, rename over it."""
        (self.folder / ".gate.yaml.swp").write_text(text, encoding="utf-8")
        (self.folder / ".gate.yaml.swp").rename(self.folder / "gate.yaml")

    @property
    def folder(self) -> Path:
        """Return the folder with the operator's files."""
        return self.daemon.folder / "rules.d"

    @property
    def client(self) -> ControlClient:
        """Return what asks the daemon."""
        return self.daemon.client

    def state(self) -> dict[str, Any]:
        """Return what the interface says of the rules."""
        found: dict[str, Any] = self.client.get("rules")
        return found

    def events(self, word: str) -> list[dict[str, Any]]:
        """Return the stored events of one kind."""
        lines: list[dict[str, Any]] = []
        for line in self.client.stream("events", after=0):
            if line["seq"] >= self.client.get("status")["seq"]:
                lines.append(line)
                break
            lines.append(line)
        return [line for line in lines if line["type"] == word]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[RuleEditor]:
    """A running daemon, and nothing in the operator's folder yet."""
    (tmp_path / "rules.d").mkdir()
    with run_daemon(tmp_path, RULES_DIR_SETTINGS.format(folder=tmp_path)) as daemon:
        yield RuleEditor(daemon)


def _refused(keeper: RuleEditor, sentence: str) -> bool:
    rejected = keeper.state()["rejected"]
    return rejected is not None and any(sentence in problem for problem in rejected["problems"])


def test_a_day_of_edits(keeper: RuleEditor) -> None:
    """Four that are wrong, one that a person must accept, one that is good, and one undone."""
    shipped = keeper.state()["gate"]["hash"]
    for number, (text, sentence) in enumerate(WRONG, 1):
        keeper.save(text)
        poll_until(partial(_refused, keeper, sentence), f"a refusal: {sentence}")
        assert keeper.state()["gate"]["hash"] == shipped
        rejected = keeper.events("rules.rejected")
        assert len(rejected) == number
        assert rejected[-1]["subject"] == shipped
        assert any(sentence in each for each in rejected[-1]["data"]["problems"])
        assert sentence in keeper.daemon.run_command("rules", "check", expect=2)
        said = keeper.daemon.run_command("rules", "status")
        assert sentence in said
        assert f"gate {shipped[:12]}" in said

    keeper.save(RELAXED)
    waiting = poll_until(lambda: keeper.state()["waiting"], "rules that wait")
    assert keeper.state()["gate"]["hash"] == shipped
    assert keeper.events("rules.awaiting_acceptance")[-1]["subject"] == waiting["hash"]
    assert "! vetoes closed: when:" in keeper.daemon.run_command("rules", "diff")
    accept = ("rules", "accept", waiting["hash"][:12], "--reason", "a night fair")
    assert f"gate {waiting['hash'][:12]}" in keeper.daemon.run_command(*accept)
    assert keeper.state()["gate"]["hash"] == waiting["hash"]
    assert keeper.events("rules.loaded")[-2]["data"]["how"] == "accepted"

    back = ("rules", "rollback", shipped[:12], "--reason", "the fair is over", "--json")
    undone = json.loads(keeper.daemon.run_command(*back))
    assert (undone["gate"]["hash"], undone["waiting"]) == (shipped, None)
    assert [each.name for each in keeper.folder.iterdir()] == ["gate.yaml.undone"]
    assert keeper.events("rules.loaded")[-2]["data"]["how"] == "rolled_back"

    keeper.save(GOOD)
    poll_until(
        lambda: any("gate.yaml" in file for file in _own_files(keeper)), "the good file, live"
    )
    live = keeper.state()["gate"]["hash"]
    assert live not in (shipped, waiting["hash"])
    assert keeper.events("rules.loaded")[-2]["subject"] == live
    assert f"examples, {EXAMPLES_RAN}" in keeper.daemon.run_command("rules", "test")
    history = keeper.daemon.run_json_command("rules", "history")
    assert [each["how"] for each in history if each["format"].startswith("leadmaster/gate")] == [
        "loaded",
        "rolled_back",
        "accepted",
        "loaded",
    ]


def _own_files(keeper: RuleEditor) -> list[str]:
    return [file for file in keeper.state()["gate"]["files"] if "rules.d" in file]


def test_each_decision_names_the_rules_that_made_it(keeper: RuleEditor) -> None:
    """What was deferred is judged anew after a change, each look by one set, and says which."""
    folder = keeper.daemon.folder
    list_file = folder / "list.csv"
    list_file.write_text(
        "Nombre;Teléfono;Origen;Consentimiento\nAna Paz;+5491141234567;feria;relación previa\n",
        encoding="utf-8",
    )
    keeper.daemon.run_command("prospects", "import", str(list_file), "--yes")
    keeper.daemon.run_command("sessions", "add", "ventas", "--channel", "simulated")
    keeper.daemon.run_command("sessions", "start", "ventas")
    poll_until(
        lambda: keeper.client.get("sessions", "ventas")["state"] == "ready",
        "a session that may send, so that the rules alone decide",
    )
    sent = keeper.daemon.run_json_command(
        "send", "+5491141234567", "Hola", "--session", "ventas", "--wait"
    )
    before = keeper.state()["gate"]["hash"]
    first = keeper.client.get("messages", sent["id"])["decisions"]
    assert {each["ruleset"] for each in first} == {before}

    keeper.save(GOOD)
    after = poll_until(
        lambda: _own_files(keeper) and keeper.state()["gate"]["hash"], "the good file, live"
    )

    def judged_anew() -> bool:
        stories = keeper.client.get("messages", sent["id"])["decisions"]
        return any(each["ruleset"] == after for each in stories)

    poll_until(judged_anew, "a decision by the new rules")
    lines = keeper.daemon.run_command("rules", "explain", sent["id"])
    assert f"rules {after[:12]}" in lines
    supposed = keeper.daemon.run_command(
        "rules", "explain", sent["id"], "--what-if", "message.links=3"
    )
    assert "no_links blocks" in supposed

    oldest = keeper.client.get("messages", sent["id"])["decisions"][0]
    assert f"rules {before[:12]}" in keeper.daemon.run_command("rules", "explain", oldest["id"])

    [prospect] = keeper.client.get("prospects")["items"]
    keeper.daemon.run_command("prospects", "validate", prospect["id"], "--reason", "she told us")
    poll_until(
        lambda: keeper.client.get("messages", sent["id"])["message"]["state"] == "held",
        "an old acquaintance held for a person",
    )
    report = keeper.daemon.run_json_command("rules", "backtest", "--rules", str(folder / "rules.d"))
    assert report["decisions"] >= 2
    assert (report["flips"], report["disagreed"]) == ({}, 0)
    _asks_what_laxer_rules_would_do(keeper, folder)


def _asks_what_laxer_rules_would_do(keeper: RuleEditor, folder: Path) -> None:
    """It is told by name and in a page; above the limit the exit status is 1."""
    (folder / "lax").mkdir()
    (folder / "lax" / "gate.yaml").write_text(LAX, encoding="utf-8")
    words = ("rules", "backtest", "--rules", str(folder / "lax"), "--since", "4w")
    page = folder / "report.html"
    limit = ("--fail-if-allows-more", "1%", "--html", str(page))
    said = keeper.daemon.run_command(*words, *limit, expect=1)
    assert "review → allow" in said
    assert "Ana Paz" in said
    assert "first_time_relationship" in page.read_text(encoding="utf-8")
    assert "There is no shadow" in keeper.daemon.run_command("rules", "shadow")
    assert "gate " in keeper.daemon.run_command("rules", "reload")
    assert "loaded" in keeper.daemon.run_command("rules", "history")


def test_a_file_that_takes_too_long_does_not_stop_the_daemon(tmp_path: Path) -> None:
    """It is given up, told, and meanwhile everything answers."""
    (tmp_path / "rules.d").mkdir()
    hurried = RULES_DIR_SETTINGS.replace("check_seconds = 30.0", "check_seconds = 0.05")
    with run_daemon(tmp_path, hurried.format(folder=tmp_path)) as daemon:
        keeper = RuleEditor(daemon)
        shipped = keeper.state()["gate"]["hash"]
        keeper.save(GOOD)
        answers = 0

        def given_up() -> bool:
            nonlocal answers
            answers += daemon.client.get("status") is not None
            return _refused(keeper, "it took longer than 0.05 s")

        poll_until(given_up, "the trial given up")
        assert answers > 0
        assert keeper.state()["gate"]["hash"] == shipped
