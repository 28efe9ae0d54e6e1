"""`leadmaster rules` beside a running daemon: each command as people and programs call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import main
from tests.helpers.client.process import RULES_DIR_SETTINGS, DaemonProcess, poll_until, run_daemon

pytestmark = pytest.mark.slow

SETTINGS = RULES_DIR_SETTINGS + 'shadow = "{folder}/shadow.d"\n'
FORMAT = "format: leadmaster/gate@1\n"
STRICT = FORMAT + "vetoes: [{id: many, reason: Too many, when: {message.links|gte: 9}}]\n"
EAGER = FORMAT + "vetoes: [{id: first_time_relationship, hold: null, when: {message.links: 9}}]\n"
ROUTED = FORMAT + "vetoes: [{id: x, reason: r, when: {message.links: 9}, route: simulatd}]\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A running daemon that has judged one message, and held it."""
    folder = tmp_path_factory.mktemp("house")
    for name in ("rules.d", "shadow.d", "lax"):
        (folder / name).mkdir()
    (folder / "lax" / "gate.yaml").write_text(EAGER, encoding="utf-8")
    with run_daemon(folder, SETTINGS.format(folder=folder)) as started:
        client = started.client
        client.post("sessions", name="ventas", channel="simulated")
        client.post("sessions", "ventas", "start")
        ready = lambda: client.get("sessions", "ventas")["state"] == "ready"  # noqa: E731
        poll_until(ready, "a session that is ready")
        entry = {"phone": "+5491141234567", "cartera_origen": "fair", "permission": "relationship"}
        made = client.post("prospects", **entry)
        word = {"validated": True, "reason": "I called her"}
        client.post("prospects", made["id"], "validate", **word)
        client.send("+5491141234567", "Hola")
        yield started


@pytest.fixture(autouse=True)
def own(daemon: DaemonProcess) -> Iterator[Path]:
    """The operator's file, which is gone again after each test."""
    file = daemon.folder / "rules.d" / "gate.yaml"
    yield file
    file.unlink(missing_ok=True)
    daemon.client.post("rules", "reload")


@dataclass
class InProcessCli:
    """The command line beside the daemon: the same words, without a process for each."""

    config: str
    screen: pytest.CaptureFixture[str]

    def run_command(self, *words: str, expect: int = 0) -> str:
        """Run a command; return what it printed, and fail on another exit status."""
        self.screen.readouterr()
        status = main.run_command(["--config", self.config, *words])
        said = "".join(self.screen.readouterr())
        assert status == expect, f"{words}: {status}\n{said}"
        return said

    def run_json_command(self, *words: str) -> Any:  # noqa: ANN401 - the daemon's JSON
        """Run a command with ``--json`` and return the document."""
        return json.loads(self.run_command(*words, "--json"))


@pytest.fixture
def terminal(daemon: DaemonProcess, capsys: pytest.CaptureFixture[str]) -> InProcessCli:
    """A terminal on the daemon's own machine."""
    return InProcessCli(str(daemon.folder / "leadmaster.toml"), capsys)


def hash_of(daemon: DaemonProcess) -> str:
    """Return how the hash of the live gate begins."""
    return str(daemon.client.get("rules")["gate"]["hash"])[:12]


def waiting(daemon: DaemonProcess) -> dict[str, Any]:
    """Return what waits."""
    return dict(daemon.client.get("rules")["waiting"])


def test_status_says_what_is_live_in_words_and_as_a_document(
    daemon: DaemonProcess, terminal: InProcessCli
) -> None:
    """Both sets with engine and files; a program gets the same as JSON."""
    said = terminal.run_command("rules", "status")
    assert f"gate {hash_of(daemon)}, " in said
    assert "score.yaml" in said
    assert terminal.run_json_command("rules", "status") == daemon.client.get("rules")


def test_the_history_says_where_the_order_alone_changed(terminal: InProcessCli, own: Path) -> None:
    """Which is another set, and changes no decision."""
    rules = [f"{{id: {each}, reason: r, points: 1, when: {{message.links: 9}}}}" for each in "ab"]
    for listed in (rules, rules[::-1]):
        own.write_text(f"{FORMAT}scores: [{', '.join(listed)}]\n", encoding="utf-8")
        terminal.run_command("rules", "reload")
    told = terminal.run_command("rules", "history").splitlines()
    assert told[1] == "  Only the order in the files changed."
    assert told[3].startswith("  scores a: is new")


def test_a_rollback_says_that_the_folder_still_differs(
    daemon: DaemonProcess, terminal: InProcessCli, own: Path
) -> None:
    """A file that was edited meanwhile stays: which one, and what to do; the diff says the same."""
    before = hash_of(daemon)
    own.write_text(STRICT, encoding="utf-8")
    assert "gate.yaml" in terminal.run_command("rules", "reload")
    assert terminal.run_command("rules", "diff") == "They mean the same.\n"
    own.write_text(f"# Edited meanwhile.\n{STRICT}", encoding="utf-8")
    said = terminal.run_command("rules", "rollback", before, "--reason", "too strict")
    assert f"the folder still differs from the rules above, after a rollback: {own}\n" in said
    assert f"  vetoes many: is new ({own}:3)\n" in said
    assert "correct or remove that; or put it in force anyway:\n" in said
    assert f"rules accept {waiting(daemon)['hash'][:12]} --reason …" in said
    assert f"rules discard {waiting(daemon)['hash'][:12]} --reason …" in said
    assert said == terminal.run_command("rules", "status")
    assert f"  vetoes many: is new ({own}:3)\n" in terminal.run_command("rules", "diff")
    assert terminal.run_json_command("rules", "diff") == [
        {"change": f"vetoes many: is new ({own}:3)", "waits": False}
    ]
    last = terminal.run_json_command("rules", "history")[0]
    assert (last["how"], last["reason"]) == ("rolled_back", "too strict")
    assert last["changes"] == ["vetoes many: is gone"]
    told = terminal.run_command("rules", "history").splitlines()
    assert told[0].endswith(f" gate {before}: rolled back by {last['who']}: too strict")
    assert told[1] == "  vetoes many: is gone"
    assert ": loaded by " in told[2]  # a reload, or a save that was seen before it
    assert told[3] == f"  vetoes many: is new ({own}:2)"
    assert told[-1] == "  The first rules."
    again = terminal.run_command("rules", "rollback", before, "--reason", "twice", expect=2)
    assert again.splitlines()[0] == f"conflict: The rules {before} are in force already."
    command = ("rules", "discard", waiting(daemon)["hash"][:12], "--reason", "it was too strict")
    assert "waiting" not in terminal.run_command(*command)
    assert not own.exists()


def test_what_waits_is_accepted_by_its_hash(
    daemon: DaemonProcess, terminal: InProcessCli, own: Path
) -> None:
    """And a hash that is none is refused in two lines, or as a problem document."""
    own.write_text(
        EAGER + "tests: [{name: an old acquaintance is looked at first,"
        " expect: {verdict: allow, vetoes: [], needs_review: false}},"
        " {name: an approval lets an old acquaintance pass, expect: {vetoes: []}},"
        " {name: what must wait and be looked at shows in the queue already,"
        " expect: {vetoes: [closed], needs_review: false}}]\n",
        encoding="utf-8",
    )
    said = terminal.run_command("rules", "reload")
    assert "waiting for a person since" in said, said
    assert "! vetoes first_time_relationship: when: " in terminal.run_command("rules", "diff")
    wrong = terminal.run_command("rules", "accept", "ffffffff", "--reason", "a typo", expect=2)
    first, second = wrong.splitlines()
    assert first == "not_found: No rules of the hash ffffffff are waiting to be accepted."
    assert second.startswith("hint: ")
    problem = terminal.run_command(
        "rules", "accept", "ffffffff", "--reason", "typo", "--json", expect=2
    )
    assert json.loads(problem)["code"] == "not_found"
    hash_, before = waiting(daemon)["hash"][:12], hash_of(daemon)
    accepted = json.loads(
        terminal.run_command("rules", "accept", hash_, "--reason", "agreed", "--json")
    )
    assert (accepted["gate"]["hash"][:12], accepted["waiting"]) == (hash_, None)
    terminal.run_command("rules", "rollback", before, "--reason", "the test is over")


def test_a_reload_that_is_refused_exits_with_2(terminal: InProcessCli, own: Path) -> None:
    """The lines that are wrong, and what goes on."""
    own.write_text("- broken\n", encoding="utf-8")
    said = terminal.run_command("rules", "reload", expect=2)
    assert "the rules above stay in force:" in said
    assert f"  {own}:1:1: A rule file is a mapping" in said
    assert json.loads(terminal.run_command("rules", "reload", "--json", expect=2))["rejected"]


def test_a_route_to_nowhere_is_refused(
    daemon: DaemonProcess, terminal: InProcessCli, own: Path
) -> None:
    """The daemon is asked what is installed; without one, what it could tell is a warning."""
    own.write_text(ROUTED, encoding="utf-8")
    sentence = "No channel `simulatd` is installed, but "
    said = terminal.run_command("rules", "check", expect=2)
    assert f"{own}:2:62: {sentence}" in said
    assert "(did you mean simulated?)" in said
    assert sentence in terminal.run_command("rules", "test", expect=2)
    assert sentence in terminal.run_command("rules", "reload", expect=2)
    nowhere = ("--socket", str(daemon.folder / "nobody.sock"))
    alone = terminal.run_command(*nowhere, "rules", "check", str(own))
    assert f"{own}:2:10: warning: Whether `simulatd` is installed is not known" in alone


def test_a_shadow_is_told_once_there_is_one(daemon: DaemonProcess, terminal: InProcessCli) -> None:
    """How often it was asked and would have differed, with the newest."""
    assert terminal.run_command("rules", "shadow").startswith("There is no shadow: ")
    file = daemon.folder / "shadow.d" / "gate.yaml"
    file.write_text("- broken\n", encoding="utf-8")
    daemon.client.post("rules", "reload")
    refused = terminal.run_command("rules", "shadow").splitlines()
    assert refused[0].startswith(f"{file}:1:1: ")
    assert refused[-1].startswith("There is no shadow until its files are corrected")
    file.write_text(STRICT.replace("links|gte: 9", "length|lte: 20"), encoding="utf-8")
    client = daemon.client
    client.post("rules", "reload")
    client.send("+5491141234567", "Hola de nuevo")
    poll_until(lambda: client.get("rules", "shadow")["standing"]["asked"], "a question to it")
    standing = terminal.run_json_command("rules", "shadow")["standing"]
    said = terminal.run_command("rules", "shadow")
    assert f"asked {standing['asked']} times, {standing['differed']} otherwise (100.0%)" in said
    assert "block" in said
    assert "shadow " in terminal.run_command("rules", "status")
    file.write_text("- broken\n", encoding="utf-8")
    daemon.client.post("rules", "reload")
    assert "shadow: " in terminal.run_command("rules", "status")
    file.unlink()
    daemon.client.post("rules", "reload")


def test_a_backtest_fails_where_it_would_allow_more(
    daemon: DaemonProcess, terminal: InProcessCli
) -> None:
    """Exit status 1 above the share, 0 below it; by rule, by name, and as a page."""
    lax, page = str(daemon.folder / "lax"), daemon.folder / "report.html"
    words = ("rules", "backtest", "--rules", lax, "--since", "4w")
    said = terminal.run_command(
        *words, "--fail-if-allows-more", "5%", "--html", str(page), expect=1
    )
    assert "newly allowed: " in said
    assert "review → allow" in said
    assert "first_time_relationship" in said
    assert "<svg" in page.read_text(encoding="utf-8")
    report = json.loads(terminal.run_command(*words, "--fail-if-allows-more", "100%", "--json"))
    assert report["allows_more"] == report["decisions"] > 0
    same = terminal.run_command("rules", "backtest", "--since", "12h")
    assert "Nothing would change." in same


def test_what_a_backtest_can_not_do_is_told_in_two_lines(
    daemon: DaemonProcess, terminal: InProcessCli, own: Path
) -> None:
    """Files that are no rules, a page that can't be written, and a daemon that is not there."""
    own.write_text("- broken\n", encoding="utf-8")
    first, second = terminal.run_command("rules", "backtest", expect=2).splitlines()
    assert first.startswith(f"rules_rejected: {own}:1:1: ")
    assert second.startswith("hint: ")
    lost = terminal.run_command("rules", "backtest", "--rules", str(own), "--json", expect=2)
    assert json.loads(lost)["code"] == "rules_rejected"
    own.unlink()
    page = daemon.folder / "nowhere" / "report.html"
    told = terminal.run_command("rules", "backtest", "--html", str(page), expect=2)
    assert told.startswith(f"file: {page}: No such file or directory.\nhint: ")
    gone = terminal.run_command("--socket", "/nowhere.sock", "rules", "backtest", expect=1)
    assert len(gone.splitlines()) == 2


def test_a_message_is_explained_with_what_if(daemon: DaemonProcess, terminal: InProcessCli) -> None:
    """The lines that a person reads; supposed facts are named first."""
    message = daemon.client.get("messages")["items"][0]["id"]
    assert "first_time_relationship" in terminal.run_command("rules", "explain", message)
    said = terminal.run_command(
        "rules", "explain", message, "--what-if", "prospect.permission=opted_in"
    )
    assert said.startswith("supposing prospect.permission = opted_in:\n")
    assert terminal.run_json_command("rules", "explain", message)["lines"]
