"""`leadmaster users`, `tokens`, `open`, and the lists that go in and out, as real processes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.client.process import DaemonProcess, run_daemon

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


@dataclass(frozen=True, slots=True)
class UserCommandResult:
    """What a command did."""

    status: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class UserCommands:
    """A running daemon, and its command line."""

    daemon: DaemonProcess

    def __call__(self, *words: str, text: str = "", status: int = 0) -> UserCommandResult:
        """Run a command with something on its standard input; fail on another exit status."""
        done = subprocess.run(
            [sys.executable, "-m", "daemon", "--socket", self.socket, *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COLUMNS": "240"},
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return UserCommandResult(done.returncode, done.stdout, done.stderr)

    def run_json_command(self, *words: str, text: str = "") -> Any:  # noqa: ANN401 - the daemon's JSON
        """Run a command and return what it says as JSON."""
        return json.loads(self(*words, "--json", text=text).out)

    @property
    def socket(self) -> str:
        """Return the control socket's path."""
        return str(self.daemon.state_dir / "control.sock")

    def call_http(self, path: str, token: str = "", **body: str) -> tuple[int, Any]:
        """Ask the public door."""
        base = self.daemon.client.get("status")["addresses"]["http"]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = json.dumps(body).encode() if body else None
        request = urllib.request.Request(base + path, content, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def services() -> Iterator[UserCommands]:
    """Start a daemon with one administrator."""
    with (
        tempfile.TemporaryDirectory(prefix="lm-") as folder,
        run_daemon(Path(folder), SETTINGS.format(folder=folder)) as daemon,
    ):
        here = UserCommands(daemon)
        here("users", "add", "ana", "--role", "admin", text=f"{PASSWORD}\n")
        yield here


def test_a_user_is_added_and_comes_in(services: UserCommands) -> None:
    """The password from a pipe is the one that signs in."""
    assert services.call_http("/v1/sign-in", user="ana", password=PASSWORD)[0] == 200
    assert services.call_http("/v1/sign-in", user="ana", password="wrong password")[0] == 401


def test_a_password_is_asked_for_twice_on_a_terminal(services: UserCommands) -> None:
    """Typed unseen, and once more; nothing of it is shown."""
    command = [sys.executable, "-m", "daemon", "--socket", services.socket]
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
    assert services.call_http("/v1/sign-in", user="typed", password=PASSWORD)[0] == 200


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


def test_a_weak_password_is_refused_with_a_hint(services: UserCommands) -> None:
    """The user learns what to do; it is the user's error."""
    ran = services("users", "add", "eva", "--role", "viewer", text="short\n", status=2)
    assert ran.err.startswith("password_refused: ")
    assert "hint: " in ran.err


def test_users_are_listed_changed_and_shut_out(services: UserCommands) -> None:
    """Role, password, disable, enable: each holds at once and says so."""
    services("users", "add", "leo", "--role", "viewer", "--link-only")
    assert "leo is operator" in services("users", "role", "leo", "operator").out
    assert "is set" in services("users", "password", "leo", text=f"{PASSWORD}\n").out
    assert services.call_http("/v1/sign-in", user="leo", password=PASSWORD)[0] == 200
    assert "shut out" in services("users", "disable", "leo").out
    assert services.call_http("/v1/sign-in", user="leo", password=PASSWORD)[0] == 401
    assert services.run_json_command("users", "enable", "leo")["disabled_at"] is None
    listed = {
        user["name"]: user["role"] for user in services.run_json_command("users", "list")["items"]
    }
    assert (listed["ana"], listed["leo"]) == ("admin", "operator")
    assert "ana" in services("users", "list").out


def test_the_last_administrator_stays(services: UserCommands) -> None:
    """A conflict that says what to do first."""
    assert services("users", "disable", "ana", status=2).err.startswith("conflict: ")


def test_a_token_is_shown_once_used_and_revoked(services: UserCommands) -> None:
    """The token alone is on standard output, so that a script can take it."""
    words = ("tokens", "add", "crm", "--user", "ana", "--scope", "messages:read", "--hours", "2")
    token = services(*words).out.strip()
    assert services.call_http("/v1/messages", token)[0] == 200
    assert services.call_http("/v1/sessions", token)[1]["code"] == "scope_missing"
    row = next(
        each
        for each in services.run_json_command("tokens", "list")["items"]
        if each["name"] == "crm"
    )
    assert "messages:read" in services("tokens", "list").out
    assert "is revoked" in services("tokens", "revoke", row["id"]).out
    assert services.run_json_command("tokens", "revoke", row["id"])["revoked_at"]
    assert services.call_http("/v1/messages", token)[1]["code"] == "token_revoked"
    assert token not in services.daemon.log.read_text()


def test_lists_of_tokens_go_on(services: UserCommands) -> None:
    """A page says how to see the next one."""
    for name in ("one", "two"):
        words = ("tokens", "add", name, "--user", "ana", "--scope", "messages:read")
        assert services.run_json_command(*words)["record"]["name"] == name
    assert "--after tok_" in services("tokens", "list", "--limit", "1").out


def test_open_prints_a_link_that_works_once(services: UserCommands) -> None:
    """The secret stands behind the #; the second to open it is refused."""
    url = services("open", "ana").out.strip()
    assert "/sign-in#" in url
    secret = url.partition("#")[2]
    assert services.call_http("/v1/sign-in/link", link=secret)[1]["user"] == "ana"
    assert services.call_http("/v1/sign-in/link", link=secret)[1]["code"] == "link_spent"
    assert services.run_json_command("open", "ana")["user"] == "ana"
    assert services("open", "nobody", status=2).err.startswith("not_found: ")


def test_a_prospect_is_entered_corrected_and_exported(
    services: UserCommands, tmp_path: Path
) -> None:
    """By hand, one at a time; the file that comes out is its owner's alone."""
    made = services.run_json_command(
        "prospects", "add", "11 4123-4567", "--origin", "feria", "--name", "=Ana"
    )
    assert made["phone"] == "+541141234567"
    words = ("--phone", "+54 9 11 4123-4568", "--reason", "misread")
    assert "unchecked" in services("prospects", "correct", made["id"], *words).out
    file = tmp_path / "out.csv"
    assert "1 records" in services("prospects", "export", str(file)).out
    assert file.stat().st_mode & 0o077 == 0
    (row,) = services.run_json_command("prospects", "export")
    assert (row["phone"], row["name"]) == ("+5491141234568", "'=Ana")
    assert services("prospects", "export", "--text", "nobody").out.count("\n") == 1


def test_a_list_is_suppressed_checked_and_exported(services: UserCommands, tmp_path: Path) -> None:
    """A register goes in with its rejects named, and comes out again."""
    register = tmp_path / "register.csv"
    register.write_bytes("número\n11 5555-1234\nnadie\n".encode("cp1252"))
    words = ("suppress", "import", str(register), "--reason", "do-not-call register")
    first = services(*words).out
    assert "1 suppressed, 0 were already" in first
    assert "2" in first
    again = services.run_json_command(*words)
    assert (again["added"], again["already"]) == (0, 1)
    assert services.run_json_command("suppress", "check", "+54 9 11 5555-1234")["suppressed"]
    assert "do-not-call" in services("suppress", "check", "+54 11 5555-1234").out
    assert "not suppressed" in services("suppress", "check", "+54 11 5555-9999").out
    aliases = {record["alias"] for record in services.run_json_command("suppress", "export")}
    assert "+5491155551234" in aliases or "+541155551234" in aliases or aliases == {""}
    out = tmp_path / "suppressed.csv"
    assert str(out) in services("suppress", "export", str(out)).out
