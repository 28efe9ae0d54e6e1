"""`leadmaster sessions pair`: a phone is linked by a QR code or by one that is typed on it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.client.process import (
    DaemonCommands,
    build_cli_command,
    run_daemon_in_state_folder,
)
from tests.helpers.transport import write_session_script

NUMBER = "+54 9 11 5555-0001"


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon without a session."""
    with run_daemon_in_state_folder(folder) as process:
        yield DaemonCommands(process)
        assert process.stop() == 0


def add_session(cli: DaemonCommands, name: str, scan_after: float | None) -> None:
    """Add a simulated session whose phone takes the code after so many seconds."""
    write_session_script(cli.folder, name, {"scan_after": scan_after})
    cli("sessions", "add", name, "--options", '{"seed": 9}')


def test_a_code_is_shown_with_its_steps_and_followed_to_ready(cli: DaemonCommands) -> None:
    """In a pipe the code stands once, above the steps; each state is a line."""
    add_session(cli, "por-codigo", 20)
    said = cli("sessions", "pair", "por-codigo", "--code", "--phone", NUMBER).out
    assert re.search(r"^ {6}([1-9A-Z] ){4}- ([1-9A-Z] ){3}[1-9A-Z]$", said, re.MULTILINE)
    assert "4. Tap “Link with phone number instead”." in said
    assert "code to be typed on the phone, " in said
    assert said.splitlines()[-1] == "por-codigo: ready — Ready."
    session = cli("sessions", "list", "--json").document["items"][-1]
    assert (session["name"], session["phone"]) == ("por-codigo", "+5491155550001")
    cli("sessions", "delete", "por-codigo", "--yes")


def test_on_a_terminal_the_time_of_a_code_runs_down(cli: DaemonCommands) -> None:
    """Whoever types it sees how long it counts."""
    add_session(cli, "con-reloj", 55)
    ours, theirs = pty.openpty()
    words = ("sessions", "pair", "con-reloj", "--code", "--phone", NUMBER)
    following = build_cli_command("--state-dir", str(cli.folder), *words)
    with subprocess.Popen(following, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the other end has closed: all was read
            while chunk := os.read(ours, 65536):
                seen += chunk
    os.close(ours)
    cli("sessions", "delete", "con-reloj", "--yes")
    assert process.returncode == 0
    left = {int(each) for each in re.findall(rb"typed on the phone, (\d+) s left", seen)}
    assert len(left) > 1
    assert max(left) <= 160


def test_without_a_code_it_is_the_qr(cli: DaemonCommands) -> None:
    """The session is started for it."""
    add_session(cli, "por-qr", 20)
    said = cli("sessions", "pair", "por-qr").out
    assert "code 1 of 6" in said
    assert said.splitlines()[-1] == "por-qr: ready — Ready."
    cli("sessions", "delete", "por-qr", "--yes")


def test_a_program_gets_the_code_and_a_wrong_call_a_sentence(cli: DaemonCommands) -> None:
    """JSON is the daemon's answer; a code needs a number, and a number a code."""
    add_session(cli, "json", None)
    code = cli("sessions", "pair", "json", "--code", "--phone", NUMBER, "--json").document
    assert code.keys() == {"code", "expires_at", "seconds_left", "pairing", "steps"}
    missing = cli("sessions", "pair", "json", "--code", status=2).err
    assert "which number does it have?" in missing
    assert "--code --phone" in cli("sessions", "pair", "json", "--phone", NUMBER, status=2).err
    wrong = cli("sessions", "pair", "json", "--code", "--phone", "nobody", status=2).err
    assert "can't be used" in wrong
    cli("sessions", "delete", "json", "--yes")


def test_what_is_said_about_a_number_is_kept_and_shown(cli: DaemonCommands) -> None:
    """By flags; after a ban that is reported, the number only replies at first."""
    add_session(cli, "con-baja", 5)
    assert "Nobody was asked yet" in cli("sessions", "answers", "con-baja").out
    half = cli("sessions", "pair", "con-baja", "--banned", "no", status=2).err
    assert "go together" in half
    flags = ("--number-age", "under_a_month", "--banned", "yes", "--banned-on", "2026-01-05")
    cli("sessions", "pair", "con-baja", *flags)
    (kept,) = cli("sessions", "answers", "con-baja", "--json").document["items"]
    assert (kept["number_age"], kept["banned_on"]) == ("under_a_month", "2026-01-05")
    assert "under_a_month" in cli("sessions", "answers", "con-baja").out
    session = cli("sessions", "list", "--json").document["items"][-1]
    assert (session["name"], session["sending"]) == ("con-baja", "reply_only")
    cli("sessions", "delete", "con-baja", "--yes")


def test_on_a_terminal_the_questions_come_first(cli: DaemonCommands) -> None:
    """Once for a number that was never linked; a word that is no answer is asked for again."""
    add_session(cli, "con-preguntas", 5)
    ours, theirs = pty.openpty()
    words = ("sessions", "pair", "con-preguntas")
    asking = build_cli_command("--state-dir", str(cli.folder), *words)
    with subprocess.Popen(asking, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"ages\nlonger\nyes\n\n")
        seen = b""
        with contextlib.suppress(OSError):  # the other end has closed: all was read
            while chunk := os.read(ours, 65536):
                seen += chunk
    os.close(ours)
    assert process.returncode == 0
    assert b"How long has this number been in use on WhatsApp?" in seen
    assert b"ready" in seen
    (kept,) = cli("sessions", "answers", "con-preguntas", "--json").document["items"]
    assert (kept["number_age"], kept["banned"], kept["banned_on"]) == ("longer", "yes", None)
    cli("sessions", "delete", "con-preguntas", "--yes")
