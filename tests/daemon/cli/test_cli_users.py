"""`leadmaster users`, `tokens`, `open`, and the lists that go in and out, as real processes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import DaemonCommands, run_daemon

pytestmark = pytest.mark.slow

SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T14:00:00Z
"""
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def cli() -> Iterator[DaemonCommands]:
    """Start a daemon with one administrator."""
    with (
        tempfile.TemporaryDirectory(prefix="lm-") as folder,
        run_daemon(Path(folder), SETTINGS.format(folder=folder)) as daemon,
    ):
        commands = DaemonCommands(daemon)
        commands("users", "add", "ana", "--role", "admin", text=f"{PASSWORD}\n")
        yield commands


def test_a_user_is_added_and_comes_in(cli: DaemonCommands) -> None:
    """The password from a pipe is the one that signs in."""
    assert cli.call_http("/v1/sign-in", user="ana", password=PASSWORD)[0] == 200
    assert cli.call_http("/v1/sign-in", user="ana", password="wrong password")[0] == 401


def test_a_password_is_asked_for_twice_on_a_terminal(cli: DaemonCommands) -> None:
    """Typed unseen, and once more; nothing of it is shown."""
    command = [sys.executable, "-m", "daemon", "--socket", cli.socket]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "users", "add", "typed", "--role", "viewer"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = ""
        for prompt in ("Password", "Repeat for confirmation"):
            while prompt not in shown:  # what is typed before the question is thrown away
                shown += os.read(ours, 4096).decode()
            os.write(ours, f"{PASSWORD}\n".encode())
        assert process.wait(30) == 0
        shown += os.read(ours, 4096).decode()
    os.close(ours)
    assert PASSWORD not in shown
    assert cli.call_http("/v1/sign-in", user="typed", password=PASSWORD)[0] == 200


def test_no_command_takes_a_password_as_an_argument() -> None:
    """What stands in an argument stands in `ps`."""
    for words in (("users", "add"), ("users", "password")):
        help_ = subprocess.run(
            [sys.executable, "-m", "daemon", *words, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "--password" not in help_


def test_a_weak_password_is_refused_with_a_hint(cli: DaemonCommands) -> None:
    """The user learns what to do; it is the user's error."""
    ran = cli("users", "add", "eva", "--role", "viewer", text="short\n", status=2)
    assert ran.err.startswith("password_refused: ")
    assert "hint: " in ran.err


def test_users_are_listed_changed_and_shut_out(cli: DaemonCommands) -> None:
    """Role, password, disable, enable: each holds at once and says so."""
    cli("users", "add", "leo", "--role", "viewer", "--link-only")
    assert "leo is operator" in cli("users", "role", "leo", "operator").out
    assert "is set" in cli("users", "password", "leo", text=f"{PASSWORD}\n").out
    assert cli.call_http("/v1/sign-in", user="leo", password=PASSWORD)[0] == 200
    assert "can no longer sign in" in cli("users", "disable", "leo").out
    assert cli.call_http("/v1/sign-in", user="leo", password=PASSWORD)[0] == 401
    assert cli.run_json_command("users", "enable", "leo")["disabled_at"] is None
    listed = {user["name"]: user["role"] for user in cli.run_json_command("users", "list")["items"]}
    assert (listed["ana"], listed["leo"]) == ("admin", "operator")
    assert "ana" in cli("users", "list").out


def test_the_last_administrator_stays(cli: DaemonCommands) -> None:
    """A conflict that says what to do first."""
    assert cli("users", "disable", "ana", status=2).err.startswith("conflict: ")


def test_a_token_is_shown_once_used_and_revoked(cli: DaemonCommands) -> None:
    """The token alone is on standard output, so that a script can take it."""
    words = ("tokens", "add", "crm", "--user", "ana", "--scope", "messages:read", "--hours", "2")
    token = cli(*words).out.strip()
    assert cli.call_http("/v1/messages", token)[0] == 200
    assert cli.call_http("/v1/sessions", token)[1]["code"] == "scope_missing"
    row = next(
        each for each in cli.run_json_command("tokens", "list")["items"] if each["name"] == "crm"
    )
    assert "messages:read" in cli("tokens", "list").out
    assert "is revoked" in cli("tokens", "revoke", row["id"]).out
    assert cli.run_json_command("tokens", "revoke", row["id"])["revoked_at"]
    assert cli.call_http("/v1/messages", token)[1]["code"] == "token_revoked"
    assert token not in cli.daemon.log.read_text()


def test_lists_of_tokens_go_on(cli: DaemonCommands) -> None:
    """A page says how to see the next one."""
    for name in ("one", "two"):
        words = ("tokens", "add", name, "--user", "ana", "--scope", "messages:read")
        assert cli.run_json_command(*words)["record"]["name"] == name
    assert "--after tok_" in cli("tokens", "list", "--limit", "1").out


def test_open_prints_a_link_that_works_once(cli: DaemonCommands) -> None:
    """The secret stands behind the #; the second to open it is refused."""
    url = cli("open", "ana").out.strip()
    assert "/sign-in#" in url
    secret = url.partition("#")[2]
    assert cli.call_http("/v1/sign-in/link", link=secret)[1]["user"] == "ana"
    assert cli.call_http("/v1/sign-in/link", link=secret)[1]["code"] == "link_spent"
    assert cli.run_json_command("open", "ana")["user"] == "ana"
    assert cli("open", "nobody", status=2).err.startswith("not_found: ")


def test_a_prospect_is_entered_corrected_and_exported(cli: DaemonCommands, tmp_path: Path) -> None:
    """By hand, one at a time; the file that comes out is its owner's alone."""
    made = cli.run_json_command(
        "prospects", "add", "11 4123-4567", "--origin", "feria", "--name", "=Ana"
    )
    assert made["phone"] == "+541141234567"
    words = ("--phone", "+54 9 11 4123-4568", "--reason", "misread")
    assert "unchecked" in cli("prospects", "correct", made["id"], *words).out
    file = tmp_path / "out.csv"
    assert "1 records" in cli("prospects", "export", str(file)).out
    assert file.stat().st_mode & 0o077 == 0
    (row,) = cli.run_json_command("prospects", "export")
    assert (row["phone"], row["name"]) == ("+5491141234568", "'=Ana")
    assert cli("prospects", "export", "--text", "nobody").out.count("\n") == 1


def test_a_list_is_suppressed_checked_and_exported(cli: DaemonCommands, tmp_path: Path) -> None:
    """A register goes in with its rejects named, and comes out again."""
    register = tmp_path / "register.csv"
    register.write_bytes("número\n11 5555-1234\nnadie\n".encode("cp1252"))
    words = ("suppress", "import", str(register), "--reason", "do-not-call register")
    first = cli(*words).out
    assert "1 suppressed, 0 were already" in first
    assert "2" in first
    again = cli.run_json_command(*words)
    assert (again["added"], again["already"]) == (0, 1)
    assert cli.run_json_command("suppress", "check", "+54 9 11 5555-1234")["suppressed"]
    assert "do-not-call" in cli("suppress", "check", "+54 11 5555-1234").out
    assert "not suppressed" in cli("suppress", "check", "+54 11 5555-9999").out
    aliases = {record["alias"] for record in cli.run_json_command("suppress", "export")}
    assert "+5491155551234" in aliases or "+541155551234" in aliases or aliases == {""}
    out = tmp_path / "suppressed.csv"
    assert str(out) in cli("suppress", "export", str(out)).out


def test_the_how_tos_are_followed(cli: DaemonCommands, tmp_path: Path) -> None:
    """A register, a number that was given, a decision on a budget, the chats, and the alerts."""
    register = tmp_path / "registro.csv"
    register.write_text("numero\n+5491155550199\n", encoding="utf-8")
    cli("do-not-call", "import", str(register), "--dated", "2026-03-01", "--country", "AR")
    made = cli.daemon.client.post("prospects", phone="+5491155550198", cartera_origen="feria")
    cli("prospects", "given", made["id"], "--where", "La Rural", "--how", "on the form")
    known = cli.daemon.client.get("prospects", made["id"])["prospect"]
    assert known["validado_tecnicamente"] is True
    decided = cli("budgets", "decide", "new_chats_later", "15", "--decision", "they know us").out
    assert "15" in decided
    assert cli("chats", "list").status == 0
    assert "last success" in cli("alerts", "status").out
