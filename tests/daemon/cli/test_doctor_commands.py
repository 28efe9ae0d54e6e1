"""What the doctor names for everything that a daemon can say is in its way or needs a person."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from daemon.alerts.delivery import NO_TARGET_SENTENCE
from daemon.backup import status as backup_status
from daemon.cli import doctor_checks
from daemon.cli.client import ControlClient, UnrecognisedError
from daemon.cli.doctor_alerts import judge_alerts
from daemon.cli.doctor_finding import DoctorFinding
from daemon.cli.doctor_service import check_daemon, compare_rules, judge_error, judge_status
from daemon.cli.main import leadmaster
from daemon.errors import LeadMasterError, NotAllowed, NotRunning, Unavailable
from daemon.http import health
from daemon.outbox import pacing
from daemon.settings import AlertSettings, DaemonSettings, Settings
from statemachines.vocabulary import BlockedBy
from storage import errors

ROOT = Path(__file__).parents[3]
QUIET_STATUS: dict[str, Any] = {
    "version": version("leadmaster"),
    "blockers": [],
    "warnings": [],
    "halt": None,
    "rules": {"waiting": None, "problems": 0},
}


def list_calls(
    source: ModuleType | Callable[..., object], names: set[str]
) -> Iterator[list[ast.expr]]:
    """Yield the arguments of each call of one of these names."""
    for node in ast.walk(ast.parse(inspect.getsource(source))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node.args


def read_codes(expression: ast.expr) -> set[str]:
    """Return the codes that an expression of a source can have."""
    match expression:
        case ast.Constant(str(code)):
            return {code}
        case ast.IfExp(body=body, orelse=orelse):
            return read_codes(body) | read_codes(orelse)
        case ast.Name("UNREADABLE_CODE"):
            return {backup_status.UNREADABLE_CODE}
    return OTHER_SOURCES[ast.unparse(expression)]


STORAGE_CODES = {kind.code for kind in vars(errors).values() if hasattr(kind, "code")}
OTHER_SOURCES = {
    "error.code": STORAGE_CODES,
    "refusal.code": STORAGE_CODES,
    "found.blocked_by.value": {block.value for block in BlockedBy},
    "concern.code": {
        code
        for args in list_calls(backup_status, {"BackupConcern"})
        for code in read_codes(args[0])
    },
    "stop.code": {
        code
        for args in list_calls(pacing.list_new_chat_stops, {"PacingSlot"})
        for code in read_codes(args[1])
    },
}
"""The codes of what the health takes from elsewhere, each read from where it is made."""
BLOCKERS = sorted(
    {code for args in list_calls(health, {"ReadinessBlocker"}) for code in read_codes(args[0])}
)
WARNINGS = sorted(
    {code for args in list_calls(health, {"HealthWarning"}) for code in read_codes(args[0])}
)


def test_the_codes_are_those_of_the_sources() -> None:
    """Of each source a few are known here, so that no walk above goes past it unseen."""
    known = {"loop", "sockets", "database_damaged", "storage", "session_failed", "number_banned"}
    assert known <= set(BLOCKERS)
    known = {"alerts_failed", "one_engine", "backup_late", "backup_none", "other_number_banned"}
    assert {*known, "new_chats_stopped", backup_status.UNREADABLE_CODE} <= set(WARNINGS)


def judge(kind: str, code: str) -> list[DoctorFinding]:
    """Return what the doctor finds of a status with one blocker or warning."""
    entry = {"code": code, "sentence": "What is so.", "session": "ventas"}
    found = judge_status({**QUIET_STATUS, kind: [entry]})
    return [each for each in found if each.sentence == "What is so."]


def test_rules_that_are_not_in_force_are_named() -> None:
    """They were saved on a full disk, say; who looks must not be told that all is sound."""
    hashes = doctor_checks.read_rule_hashes(Settings())
    assert hashes is not None
    live = {"gate": hashes[0], "score": hashes[1], "waiting": None, "problems": 0}
    assert list(compare_rules(live, Settings())) == []
    [found] = compare_rules({**live, "gate": "0" * 64}, Settings())
    assert (found.grade, found.command) == ("warn", "leadmaster rules reload")
    assert list(compare_rules({**live, "gate": "0" * 64, "waiting": "1" * 64}, Settings())) == []


@pytest.mark.parametrize("code", BLOCKERS)
def test_each_blocker_has_a_command(code: str) -> None:
    """It is one that there is, and it names the session that is meant."""
    [found] = judge("blockers", code)
    assert found.grade == "fail"
    require_command(found.command)


@pytest.mark.parametrize("code", WARNINGS)
def test_each_warning_has_a_command_or_a_check_of_its_own(code: str) -> None:
    """What another check finds from the files is not said twice."""
    for found in judge("warnings", code):
        require_command(found.command)
    checks = {"alerts_failed", "history_unknown", "one_engine"}
    has_own = code.startswith("backup_") and code != backup_status.UNREADABLE_CODE
    assert bool(judge("warnings", code)) is not (has_own or code in checks)


def require_command(text: str) -> None:
    """Require that each of our own commands in a line exists; others are named by their program."""
    for command in text.split(" && "):
        program, *words = command.split()
        assert program in {"leadmaster", "systemctl", "journalctl", "apt-get", "chmod", "editor"}
        assert "{" not in command
        group: click.Command = leadmaster
        while program == "leadmaster" and isinstance(group, click.Group):
            found = group.get_command(click.Context(group), words.pop(0))
            assert found is not None, command
            group = found


def test_an_unknown_code_has_no_command() -> None:
    """As of a later daemon: another code's command would be the wrong one."""
    assert [each.command for each in judge("blockers", "not_known_yet")] == [""]
    assert [each.command for each in judge("warnings", "not_known_yet")] == [""]


@pytest.mark.parametrize("code", ["database_replaced", "database_damaged"])
def test_another_file_is_taken_or_restored_with_the_daemon_stopped(code: str) -> None:
    """A daemon that runs goes on with the old one, and nothing can be put in its place."""
    [found] = judge("blockers", code)
    assert found.hint.startswith("Stop the daemon first")
    assert (
        found.command
        == {
            "database_replaced": "leadmaster doctor --adopt REASON",
            "database_damaged": "leadmaster restore --help",
        }[code]
    )


def test_a_session_is_named_in_its_command() -> None:
    """Of a blocker; a warning of a number has several."""
    assert [each.command for each in judge("blockers", "session_stopped")] == [
        "leadmaster sessions start ventas"
    ]
    assert [each.command for each in judge("warnings", "reply_only_after_ban")] == [
        "leadmaster bans list"
    ]


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (NotRunning("No daemon answers on x."), "leadmaster run"),
        (ConnectionResetError("reset"), "leadmaster run"),
        (NotAllowed("The socket is not open to this user."), "sudo leadmaster doctor"),
        (Unavailable("LeadMaster is starting."), "leadmaster status --wait"),
        (UnrecognisedError("database_damaged", 503, "x", "y"), "leadmaster restore --help"),
        (UnrecognisedError("internal", 500, "x", "y"), "journalctl --unit leadmaster --since -1h"),
        (UnrecognisedError("not_known_yet", 500, "x", "y"), ""),
    ],
)
def test_a_status_that_is_refused_has_the_command_of_its_code(
    error: LeadMasterError | OSError, command: str
) -> None:
    """Where a daemon answers, another one can't be started beside it."""
    assert judge_error(error, Settings(daemon=DaemonSettings(state_dir="/x"))).command == command


def test_no_daemon_is_no_other_error(tmp_path: Path) -> None:
    """Nothing listens there."""
    settings = Settings(daemon=DaemonSettings(state_dir=str(tmp_path)))
    [found] = check_daemon(settings, ControlClient(tmp_path / "control.sock"))
    assert (found.grade, found.command) == ("fail", "leadmaster run")


def test_the_file_of_the_targets_is_the_one_in_use(tmp_path: Path) -> None:
    """Of the unit that sends, or of the settings."""
    status = {"last_success": None, "last_failure": None, "failure": NO_TARGET_SENTENCE, "open": 1}

    def find_file(settings: Settings) -> str:
        command = judge_alerts(status, settings).command
        [file] = re.findall("editor (.*) && leadmaster alerts test", command)
        return str(file)

    here = Settings(daemon=DaemonSettings(state_dir=str(tmp_path)))
    assert find_file(here) == str(tmp_path / "alerts.toml")
    other = Settings(alerts=AlertSettings(targets_file="/etc/targets.toml"))
    assert find_file(other) == "/etc/targets.toml"
    by_unit = find_file(Settings(alerts=AlertSettings(socket="/run/leadmaster-alerts.sock")))
    unit = (ROOT / "systemd" / "leadmaster-alerts@.service").read_text(encoding="utf-8")
    assert f"LoadCredential=alerts.toml:{by_unit}\n" in unit


@pytest.mark.parametrize("code", sorted(doctor_checks.DATABASE_COMMANDS))
def test_the_daemon_is_stopped_before_a_database_is_taken_or_restored(code: str) -> None:
    """So says the check of the files too, whose finding comes before that of the daemon."""
    command = doctor_checks.DATABASE_COMMANDS[code]
    takes = command.startswith(("leadmaster doctor", "leadmaster restore"))
    assert bool(doctor_checks.require_stop(command)) is takes
