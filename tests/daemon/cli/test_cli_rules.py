"""`leadmaster rules` without a daemon: check, test, and the misuses that are told."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from daemon.cli import main
from tests.helpers.client.raw_bytes import build_http_answer, serve_raw_answers
from tests.helpers.engines import EXAMPLES_RAN

FORMAT = "format: leadmaster/gate@1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An operator's folder that the settings name."""
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "leadmaster.toml").write_text(f'[rules]\ndir = "{tmp_path}/rules.d"\n')
    return tmp_path


def _run_rules_command(folder: Path, *words: str) -> int:
    return main.run_command(["--config", str(folder / "leadmaster.toml"), "rules", *words])


def test_the_live_folder_is_checked_where_nothing_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reach of the scores and the files, and a warning that stops nothing."""
    (folder / "rules.d" / "ours.yaml").write_text(
        FORMAT + "vetoes:\n  - {id: many, reason: r, when: {message.links|gte: 9}}\n"
    )
    assert _run_rules_command(folder, "check") == 0
    said = capsys.readouterr().out
    assert "ours.yaml:3:5: warning: No example under `tests` shows `many` at work" in said
    assert "ok: leadmaster/gate@1" in said
    assert "scores from 0 to 100" in said


def test_a_problem_is_one_line_and_exits_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line, column, and what was meant."""
    (folder / "rules.d" / "gate.yaml").write_text(FORMAT + "vetos: []\n")
    assert _run_rules_command(folder, "check") == 2
    assert "gate.yaml:2:1: `vetos` is not part of" in capsys.readouterr().err


def test_failing_examples_are_shown_as_a_diff(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was expected, and what came; `check` tells them too, since a save would."""
    (folder / "rules.d" / "gate.yaml").write_text(
        FORMAT + "tests: [{name: not answered, expect: {verdict: block, scores: [stale]}}]\n"
    )
    assert _run_rules_command(folder, "test") == 2
    said = capsys.readouterr().out
    assert "gate.yaml:2: not answered" in said
    assert "    - verdict: block\n    + verdict: review\n" in said
    assert "    - scores: [stale]\n    + scores: [stale, unanswered]\n" in said
    assert said.endswith("1 wrong\n")
    assert _run_rules_command(folder, "check") == 2
    assert "The example `not answered` fails" in capsys.readouterr().out


def test_the_examples_pass_and_it_is_said_by_which_engines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And they are counted."""
    assert _run_rules_command(folder, "test") == 0
    assert f"examples, {EXAMPLES_RAN}\n" in capsys.readouterr().out


def test_a_file_alone_is_a_set_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Over the shipped rules it adds; alone it lacks what a set needs."""
    ours = folder / "ours.yaml"
    ours.write_text(FORMAT + "vetoes: [{id: many, reason: r, when: {message.links|gte: 9}}]\n")
    assert _run_rules_command(folder, "check", str(ours), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], len(document["sets"]), len(document["warnings"])) == (True, 2, 1)
    assert _run_rules_command(folder, "check", str(ours), "--alone") == 2
    assert "`score` is missing" in capsys.readouterr().err
    assert _run_rules_command(folder, "test", str(ours), "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_a_file_that_can_not_be_read_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every other problem."""
    (folder / "rules.d" / "gate.yaml").write_bytes(b"\xff\xfe")
    assert _run_rules_command(folder, "check") == 2
    assert "gate.yaml:1:1: This character is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("explain", "msg_1", "--what-if", "prospect.intent"), "--what-if takes FACT=VALUE"),
        (("backtest", "--since", "soon"), "soon is not a length of time: write 30d, 12h or 4w"),
        (("backtest", "--since", "0d"), "0d is not a length of time"),
        (("backtest", "--since", "nand"), "nand is not a length of time"),
        (("backtest", "--fail-if-allows-more", "some"), "some is not a share: write 5%"),
        (("backtest", "--fail-if-allows-more", "nan%"), "nan% is not a share: write 5%"),
        (("backtest", "--fail-if-allows-more", "200%"), "200% is not a share: write 5%"),
        (("backtest", "--fail-if-allows-more", "-1%"), "-1% is not a share: write 5%"),
        (("accept", "abcd"), "Missing option '--reason'"),
    ],
)
def test_misuse_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    """In one line, with exit status 2."""
    assert _run_rules_command(folder, *words) == 2
    assert sentence in capsys.readouterr().err


REPORT = {
    "type": "report",
    "since": "2026-02-01T00:00:00Z",
    "decisions": 40,
    "seconds": 0.25,
    "checked": 4,
    "disagreed": 0,
    "left_out": 2,
    "allows_more": 3,
    "allows_less": 1,
    "more": {"answered": 2, "complained": 1},
    "less": {},
    "flips": {"review → allow": 3, "allow → block": 1},
    "by_rule": [{"rule": "unanswered", "allows": 3, "stops": 1}],
    "examples": [],
}
PROGRESS = {"type": "progress", "done": 20, "total": 40}


class TtyStderr(io.StringIO):
    """A standard error that somebody watches."""

    def isatty(self) -> bool:
        """Somebody does."""
        return True


def _run_backtest_command(folder: Path, *lines: dict[str, object]) -> int:
    """Ask a daemon that answers these lines what other rules would have decided."""
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    with serve_raw_answers(folder / "s", build_http_answer(200, body)):
        return main.run_command(["--socket", str(folder / "s"), "rules", "backtest"])


def test_a_backtest_tells_what_became_of_the_people_and_what_it_left_out(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newly allowed and allowed no more, by rule; where nobody watches there is no bar."""
    assert _run_backtest_command(short_folder, PROGRESS, REPORT) == 0
    told = capsys.readouterr()
    assert "2 left out: a rule reads their text, which is forgotten" in told.out
    assert "newly allowed: 3 (7.5%); of them 2 answered, 1 complained" in told.out
    assert "allowed no more: 1\n" in told.out
    assert "unanswered" in told.out
    assert told.err == ""


def test_whoever_watches_sees_how_far_it_is(short_folder: Path) -> None:
    """A bar that grows on one line, which ends with the work."""
    watched = TtyStderr()
    with contextlib.redirect_stderr(watched):
        assert _run_backtest_command(short_folder, PROGRESS, {**PROGRESS, "done": 40}, REPORT) == 0
    half, whole = "#" * 15 + "." * 15, "#" * 30
    assert watched.getvalue() == f"\r[{half}] 20 decisions\r[{whole}] 40 decisions\n"


def test_a_daemon_that_ends_before_the_backtest_is_told(
    short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines, and no report that is half of one."""
    assert _run_backtest_command(short_folder, PROGRESS) == 1
    assert "The daemon stopped before the backtest ended." in capsys.readouterr().err
