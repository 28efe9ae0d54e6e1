"""The commands as real processes against a real daemon: words, tables, JSON, errors, exit codes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.helpers.client.process import (
    CLI_PHONE_SCRIPT,
    CLI_SETTINGS,
    DaemonCommands,
    build_cli_command,
    poll_until,
    run_cli,
    run_daemon_in_state_folder,
)
from tests.helpers.engines import ENGINE
from tests.helpers.transport import write_session_script
from tests.helpers.workbooks import build_workbook

pytestmark = pytest.mark.slow

Json: TypeAlias = Any
PHONE = "+5491141234567"
LIST = (
    "Nombre;Teléfono;Origen;Consentimiento\nAna Paz;+5491141234567;feria;relación previa\nX;no;f;\n"
)


@pytest.fixture(scope="module")
def cli(folder: Path) -> Iterator[DaemonCommands]:
    """Return a daemon with one linked session and a short list of prospects."""
    with run_daemon_in_state_folder(folder) as process:
        daemon = DaemonCommands(process)
        write_session_script(folder, "ventas", CLI_PHONE_SCRIPT)
        daemon("sessions", "add", "ventas", "--start")
        daemon("sessions", "qr", "ventas")
        (folder / "lista.csv").write_text(LIST, encoding="utf-8")
        daemon("prospects", "import", str(folder / "lista.csv"), "--yes")
        yield daemon
        assert process.stop() == 0


def test_help_names_every_command() -> None:
    """The first screen shows what there is."""
    ran = run_cli("--help")
    for word in ("run", "demo", "doctor", "sessions", "send", "queue", "prospects", "review"):
        assert f"\n  {word} " in ran.out
    assert run_cli("--version").out.startswith("leadmaster ")


def run_python(code: str) -> str:
    """Return the last line of a fresh interpreter, without a measuring tool's own imports."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=leave_coverage_out(),
    )
    return done.stdout.splitlines()[-1]


def leave_coverage_out() -> dict[str, str]:
    """Return the environment of a process that is not measured."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


def test_help_loads_no_server_and_no_tables() -> None:
    """The client's path knows neither aiohttp nor the database, and rich only to draw."""
    code = (
        "import sys; from daemon.cli.main import run_command; run_command(['--help']);"
        "import daemon.cli.client;"
        "print(sorted({'aiohttp', 'rich', 'sqlite3', 'structlog', 'asyncio'}"
        " & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


def test_a_command_loads_no_server(cli: DaemonCommands) -> None:
    """A table is drawn without the server's libraries."""
    code = (
        "import sys; from daemon.cli.main import run_command;"
        f"run_command(['--socket', {str(cli.folder / 'control.sock')!r}, 'sessions', 'list']);"
        "print('aiohttp' in sys.modules, 'sqlite3' in sys.modules)"
    )
    assert run_python(code) == "False False"


def test_no_daemon_is_one_sentence_and_exit_1(tmp_path: Path) -> None:
    """Where nobody answers, the user learns how to start it."""
    ran = run_cli("--state-dir", str(tmp_path), "sessions", "list")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        f"not_running: No daemon answers on {tmp_path}/control.sock.",
        f"hint: Start it with: leadmaster --state-dir {tmp_path} run",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["queue", "settle", "msg_x", "flying", "--reason", "x"],
        ["sessions", "add", "x", "--options", "{"],
        ["sessions", "add", "x", "--options", "[]"],
        ["prospects", "import", "/nowhere.csv"],
        ["--config", "/nowhere.toml", "sessions", "list"],
    ],
)
def test_a_wrong_call_is_exit_2_with_a_hint(arguments: list[str]) -> None:
    """What the user got wrong is said in two lines."""
    ran = run_cli(*arguments)
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 2
    assert ran.err.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["queue", "list", "--limit", "0"], 2, "usage"),
        (["send", "1", "x", "--not-before", "soon"], 2, "usage"),
        (["prospects", "export", "/nowhere/out.csv"], 1, "not_running"),
        (["rules", "check", "/nowhere.yaml"], 2, "usage"),
        (["--config", "/nowhere.toml", "status"], 2, "settings_rejected"),
    ],
)
def test_with_json_a_problem_is_a_document(
    tmp_path: Path, arguments: list[str], status: int, code: str
) -> None:
    """Code, sentence and hint on one line of standard error; the exit status stays."""
    ran = run_cli("--state-dir", str(tmp_path), *arguments, "--json")
    assert (ran.status, ran.out) == (status, "")
    (line,) = ran.err.splitlines()
    problem = json.loads(line)
    assert problem["code"] == code
    assert problem["detail"]
    assert problem["hint"]


def test_settings_name_every_problem(tmp_path: Path) -> None:
    """A start with bad settings is refused with all of them, exit 2."""
    config = tmp_path / "bad.toml"
    config.write_text('[daemon]\nport = "x"\nhots = "::"\n[nonsense]\na = 1\n', encoding="utf-8")
    ran = run_cli("--config", str(config), "run")
    assert ran.status == 2
    assert "daemon.port" in ran.err
    assert "daemon.hots: there is no such setting" in ran.err
    assert "nonsense: there is no such section" in ran.err


def test_sessions_are_listed_in_the_servers_words(cli: DaemonCommands) -> None:
    """The table shows state and sentence; JSON is the daemon's answer."""
    assert "checked by two engines" in cli("status").out
    assert "ready" in cli("sessions", "list").out
    session = cli("sessions", "list", "--json").document["items"][0]
    assert (session["name"], session["state"], session["sentence"]) == ("ventas", "ready", "Ready.")


def test_a_qr_is_drawn_and_followed_to_ready(cli: DaemonCommands) -> None:
    """In a pipe each code is drawn once and each state is a line; it ends when linked."""
    write_session_script(cli.folder, "soporte", {"scan_after": 55})
    added = cli("sessions", "add", "soporte", "--options", '{"seed": 9}')
    assert added.out.startswith("soporte: stopped")
    cli("sessions", "start", "soporte", "--json")
    said = cli("sessions", "qr", "soporte").out
    assert "code 1 of 6" in said
    assert "▄" in said
    assert said.splitlines()[-1] == "soporte: ready — Ready."
    assert cli("sessions", "stop", "soporte").out.startswith("soporte: stopped")
    assert cli("sessions", "delete", "soporte", "--yes").out == "soporte: deleted\n"


def test_on_a_terminal_the_code_is_redrawn_in_place(cli: DaemonCommands) -> None:
    """Somebody who looks sees the countdown, and the code goes when it was scanned."""
    write_session_script(cli.folder, "cuarta", {"scan_after": 55})
    cli("sessions", "add", "cuarta", "--options", '{"seed": 11}', "--start")
    ours, theirs = pty.openpty()
    following = build_cli_command("--state-dir", str(cli.folder), "sessions", "qr", "cuarta")
    with subprocess.Popen(following, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the other end has closed: all was read
            while chunk := os.read(ours, 65536):
                seen += chunk
    os.close(ours)
    cli("sessions", "delete", "cuarta", "--yes")
    assert process.returncode == 0
    assert b"s left" in seen
    assert "ready — Ready.".encode() in seen


def test_a_code_can_be_shown_once_or_as_json(cli: DaemonCommands) -> None:
    """`--once` draws the present code; without one there is a sentence."""
    write_session_script(cli.folder, "tercera", {"scan_after": None})
    cli("sessions", "add", "tercera", "--start", "--json")
    drawn = lambda: cli.run_unchecked("sessions", "qr", "tercera", "--once").status == 0  # noqa: E731
    poll_until(drawn, "a code on show")
    assert cli("sessions", "qr", "tercera", "--json").document["code"]
    cli("sessions", "delete", "tercera", "--yes", "--json")
    assert cli.run_unchecked("sessions", "qr", "ventas", "--once").status == 2


def test_deleting_asks_first(cli: DaemonCommands) -> None:
    """A no deletes nothing; where nobody can answer, the sentence names --yes."""
    ran = cli.run_unchecked("sessions", "delete", "ventas", text="n\n")
    assert (ran.status, "declined: Nothing was deleted." in ran.err) == (2, True)
    silent = cli.run_unchecked("sessions", "delete", "ventas")
    assert (silent.status, "--yes" in silent.err) == (2, True)
    assert cli("sessions", "list", "--json").document["items"]


def test_a_message_is_held_explained_and_rejected(cli: DaemonCommands) -> None:
    """From the send to the story: each step says what is and why."""
    sent = cli("send", PHONE, "Hola Ana", "--wait", "--key", "a1", "--json").document
    again = cli("send", PHONE, "Hola Ana", "--key", "a1").out
    assert again.startswith(sent["id"])
    _await_state(cli, sent["id"], "held")
    assert sent["id"] in cli("review", "list").out
    story = cli("queue", "show", sent["id"]).out
    assert "Existing relationship" in story
    assert "first_time_relationship" in story
    assert "points" not in cli("queue", "list", "--state", "sent").out
    assert "first_time_relationship" in cli("rules", "explain", sent["id"]).out
    found = cli("rules", "explain", sent["id"], "--json").document
    again = cli("rules", "explain", found["decision"], "--json").document
    assert again["lines"] == found["lines"]
    told = cli("review", "reject", sent["id"], "--reason", "not now, please")
    assert told.out.startswith(f"{sent['id']}: blocked")
    gone = cli.run_unchecked("queue", "cancel", sent["id"], "--reason", "too late")
    assert (gone.status, gone.err.partition(":")[0]) == (2, "conflict")


def _await_state(cli: DaemonCommands, message: str, state: str) -> None:
    read = cli.daemon.client.get
    poll_until(lambda: read("messages", message)["message"]["state"] == state, f"it is {state}")


def test_a_message_waits_and_is_cancelled(cli: DaemonCommands) -> None:
    """What has not left can be cancelled, and only what is in doubt be settled."""
    sent = cli("send", PHONE, "Otra cosa, Ana", "--wait", "--json").document
    _await_state(cli, sent["id"], "held")
    settled = cli.run_unchecked("queue", "settle", sent["id"], "failed", "--reason", "I think so")
    assert settled.status == 2
    assert "cancelled" in cli("queue", "cancel", sent["id"], "--reason", "not needed").out
    listed = cli("queue", "list", "--state", "cancelled", "--limit", "1", "--json").document
    assert listed["items"][0]["id"] == sent["id"]


def test_a_message_is_approved_and_sent(cli: DaemonCommands) -> None:
    """A person's approval of this very message lets it go, and it is read."""
    sent = cli("send", PHONE, "¿Nos vemos el jueves, Ana?", "--wait", "--json").document
    _await_state(cli, sent["id"], "held")
    approved = cli("review", "approve", sent["id"], "--reason", "I know her", "--json").document
    assert approved["id"] == sent["id"]
    _await_state(cli, sent["id"], "read")
    assert "WhatsApp acknowledged it" in cli("queue", "show", sent["id"]).out


def test_an_import_asks_reports_and_writes_its_rejects(cli: DaemonCommands, tmp_path: Path) -> None:
    """Preview, question, report; the rejects go to a file; a no imports nothing."""
    file = tmp_path / "otra.csv"
    file.write_text("quien;numero\nEva;+5491141230001\nNo;nada\n", encoding="utf-8")
    declined = cli.run_unchecked("prospects", "import", str(file), text="n\n")
    assert declined.status == 2
    silent = cli.run_unchecked("prospects", "import", str(file))
    assert silent.status == 2
    assert silent.err.splitlines()[-2:] == [
        "unanswered: Nothing was imported. The question got no answer.",
        "hint: Confirm in advance: run the same command with --yes",
    ]
    program = cli.run_unchecked("prospects", "import", str(file), "--json")
    assert json.loads(program.err.splitlines()[-1])["code"] == "unanswered"
    rejects = tmp_path / "rejects.csv"
    arguments = ("--map", "phone=numero", "--map", "name=quien", "--origin", "feria")
    said = cli(
        "prospects", "import", str(file), *arguments, "--rejects", str(rejects), text="y\n"
    ).out
    assert "1 new" in said
    assert "1 rejected" in said
    assert rejects.read_text(encoding="utf-8").startswith("record,reason_code,sentence\n3,")
    again = cli("prospects", "import", str(file), *arguments, "--yes")
    assert "imported before" in again.out
    report = cli("prospects", "import", str(file), *arguments, "--yes", "--json").document
    assert report["repeated"] is True


def test_an_import_that_makes_no_sense_is_refused(cli: DaemonCommands, tmp_path: Path) -> None:
    """A wrong map is the user's error; a file without numbers names its headers."""
    file = tmp_path / "x.csv"
    file.write_text("a;b\n1;2\n", encoding="utf-8")
    wrong = cli.run_unchecked("prospects", "import", str(file), "--map", "phone")
    assert (wrong.status, wrong.err.partition(":")[0]) == (2, "usage")
    refused = cli.run_unchecked("prospects", "import", str(file), "--yes")
    assert (refused.status, refused.err.partition(":")[0]) == (2, "import_rejected")
    quiet = cli.run_unchecked("prospects", "import", str(file), "--yes", "--json")
    assert quiet.status == 2


def test_an_import_in_doubt_is_answered_by_options(cli: DaemonCommands, tmp_path: Path) -> None:
    """Encoding and sheet; the refusal names the option."""
    file = tmp_path / "mezcla.csv"
    file.write_bytes(b"nombre;celular\nJos\xc3\xa9;+5491141230002\nMar\xeda;+5491141230003\n")
    refused = cli.run_unchecked("prospects", "import", str(file), "--yes")
    assert (refused.status, "--encoding" in refused.err) == (2, True)
    options = ("--encoding", "cp1252")
    said = cli.run_unchecked("prospects", "import", str(file), *options, text="n\n")
    assert "María" in said.out
    book = build_workbook(tmp_path, "x4_sheets_hidden_first.xlsx")
    shown = cli.run_unchecked("prospects", "import", str(book), "--sheet", "Viejos", text="n\n")
    assert "XLSX, sheet Viejos" in shown.out
    wrong = cli.run_unchecked("prospects", "import", str(book), "--sheet", "Nada", "--yes")
    assert "«Datos» (4)" in wrong.err


def test_prospects_are_listed_shown_checked_and_validated(cli: DaemonCommands) -> None:
    """A prospect by number: score, evidence, a check and an operator's word."""
    assert "Ana Paz" in cli("prospects", "list", "--text", "ana").out
    shown = cli("prospects", "show", PHONE).out
    for word in ("score_contactabilidad", "relationship", "evidence"):
        assert word in shown
    assert cli("prospects", "show", PHONE, "--json").document["suppressed"] is False
    told = cli("prospects", "validate", PHONE, "--reason", "I called her").out
    assert "validated" in told
    assert "on WhatsApp" in cli("prospects", "check", PHONE).out
    cli("prospects", "add", "+5491141230077", "--origin", "feria")
    first = cli("prospects", "list", "--limit", "1")
    assert "There are more: --after" in first.out
    assert cli.run_unchecked("prospects", "show", "pro_none").status == 2


def test_suppressing_listing_and_lifting(cli: DaemonCommands) -> None:
    """An operator's entry can be corrected; the table says since when and why."""
    other = "+5491141230009"
    cli("suppress", "add", other, "--reason", "asked by phone")
    assert "asked by phone" in cli("suppress", "list").out
    cli("suppress", "lift", other, "--reason", "wrong person")
    again = cli.run_unchecked("suppress", "lift", other, "--reason", "wrong person", "--json")
    assert again.status == 2
    assert cli("suppress", "add", other, "--reason", "asked", "--json").document["new"] >= 1
    assert cli("suppress", "lift", other, "--reason", "a mistake", "--json").status == 0


def test_by_hand_from_take_to_confirmed(cli: DaemonCommands, tmp_path: Path) -> None:
    """A number that was found, not asked, is written to by a person."""
    file = tmp_path / "guia.csv"
    file.write_text("phone\n+5491141235001\n+5491141235002\n", encoding="utf-8")
    cli("prospects", "import", str(file), "--yes")
    assert "There is nothing to send by hand" in cli("manual", "list").out
    sent = cli("send", "+5491141235001", "Buenas, vimos su local", "--json").document
    _await_state(cli, sent["id"], "cleared")
    assert sent["id"] in cli("manual", "list").out
    taken = cli("manual", "take", sent["id"]).out
    assert taken.startswith(f"{sent['id']}: taken")
    assert "Yours until 2026-03-0" in taken
    assert f"Next: leadmaster --state-dir {cli.folder} manual reveal {sent['id']}" in taken
    assert "confirmed" not in cli("manual", "return", sent["id"]).out
    cli("manual", "take", sent["id"], "--json")
    assert "https://wa.me/" in cli("manual", "reveal", sent["id"]).out
    assert "confirmed_by_hand" in cli("manual", "confirm", sent["id"]).out
    other = cli("send", "+5491141235002", "Buenas tardes a todos", "--json").document
    _await_state(cli, other["id"], "cleared")
    cli("manual", "take", other["id"])
    link = cli("manual", "reveal", other["id"], "--json").document["link"]
    assert link.startswith("https://wa.me/")
    assert "cancelled" in cli("manual", "cancel", other["id"], "--reason", "closed shop").out


def test_a_message_by_hand_says_what_is_next(cli: DaemonCommands, tmp_path: Path) -> None:
    """It needs a person with a phone, so any session's number will do; it says how it is taken."""
    (tmp_path / "guia.csv").write_text("phone\n+5491141235003\n", encoding="utf-8")
    cli("prospects", "import", str(tmp_path / "guia.csv"), "--yes")
    said = cli("send", "+5491141235003", "Buenas tardes", "--channel", "manual", "--wait").out
    assert f"leadmaster --state-dir {cli.folder} manual take msg_" in said
    refused = cli.run_unchecked("send", PHONE, "Buenas tardes", "--channel", "cloud").err
    assert "there is no session on the channel 'cloud'" in refused
    assert "sessions add NAME --channel cloud" in refused


def test_every_list_is_json_for_programs(cli: DaemonCommands) -> None:
    """Each list answers with `items` and `next`, whatever is in it."""
    for words in (("review",), ("manual",), ("suppress",), ("prospects",), ("queue",)):
        document = cli(*words, "list", "--json").document
        assert document.keys() >= {"items", "next"}, words


def test_halt_and_resume(cli: DaemonCommands) -> None:
    """The stop says who and why, and how to lift it."""
    assert f"leadmaster --state-dir {cli.folder} resume" in cli("halt", "a drill").out
    assert cli("halt", "another", "--json").document["reason"] == "a drill"
    assert "halted since" in cli("status").out
    assert "a drill" in cli("queue", "list").out
    assert cli("status", "--json").document["halt"]["reason"] == "a drill"
    assert "resumed" in cli("resume", "over").out
    assert cli.run_unchecked("resume", "over", "--json").status == 2


def test_tail_tells_the_log(cli: DaemonCommands) -> None:
    """From the beginning, narrowed, ended after so many; words or JSON lines."""
    words = cli("tail", "--after", "0", "--until", "5").out
    assert len(words.splitlines()) == 5
    assert not set("{}[]'") & set(words)
    assert "files: " in words
    assert " UTC" in cli("tail", "--after", "0", "--until", "1", TZ="UTC").out
    assert " UTC-03" in cli("tail", "--after", "0", "--until", "1", TZ="<-03>3").out
    said = cli("tail", "--after", "0", "--until", "2", "--type", "session.changed", "--json").out
    assert {json.loads(line)["type"] for line in said.splitlines()} == {"session.changed"}
    assert cli.run_unchecked("tail", "--type", "no.such").status == 2


@contextlib.contextmanager
def tailing(cli: DaemonCommands) -> Iterator[subprocess.Popen[str]]:
    """Begin a tail, wait for its first line, and end it with the block."""
    with subprocess.Popen(
        build_cli_command("--state-dir", str(cli.folder), "tail", "--after", "0", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=leave_coverage_out(),  # an interrupt within it once kept a process from its end
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_ctrl_c_is_one_line_and_130(cli: DaemonCommands) -> None:
    """An interrupted tail ends at once, without a traceback."""
    with tailing(cli) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip()) == (130, "interrupted")


def test_a_closed_pipe_is_no_complaint(cli: DaemonCommands) -> None:
    """`leadmaster … | head` ends without a word."""
    with tailing(cli) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        cli("halt", "wakes the tail")
        cli("resume", "it is awake")
        assert process.stderr.read() == ""


def test_a_pipe_is_never_wrapped(cli: DaemonCommands) -> None:
    """Whatever COLUMNS says, a row is one line in a pipe; no colours go there."""
    narrow = cli("sessions", "list", COLUMNS="40").out
    assert narrow == cli("sessions", "list", COLUMNS="240").out
    assert len(narrow.splitlines()) == 3
    assert "\x1b[" not in narrow


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_gets_cards(cli: DaemonCommands, columns: int) -> None:
    """What has no room as a table stands below each other, whole."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    listing = build_cli_command("--state-dir", str(cli.folder), "sessions", "list")
    with subprocess.Popen(listing, stdout=theirs, stdin=theirs, env=environ) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the other end has closed: all was read
            while chunk := os.read(ours, 65536):
                seen += chunk
    os.close(ours)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).splitlines()
    assert lines[0] == "session ventas"
    assert max(map(len, lines)) <= columns
    assert any(line.split() == ["state:", "ready"] for line in lines)


def test_rules_are_checked_without_a_daemon(tmp_path: Path) -> None:
    """The shipped sets are good; a bad file is named with its line, exit 2."""
    assert run_cli("rules", "check").out.count("ok: ") == 2
    bad = tmp_path / "bad.yaml"
    bad.write_text("format: leadmaster/gate@1\nvetos: []\n", encoding="utf-8")
    ran = run_cli("rules", "check", str(bad))
    assert (ran.status, ran.err.partition(":")[0]) == (2, "rules_rejected")
    assert "bad.yaml" in ran.err
    shipped = run_cli("rules", "check", "rules/defaults/gate.yaml", "--json").document
    assert shipped["ok"] is True


def test_a_second_daemon_is_refused_in_a_sentence(cli: DaemonCommands) -> None:
    """The folder is taken: exit 2, one sentence and a hint, and the first lives on."""
    ran = run_cli("--config", str(cli.folder / "leadmaster.toml"), "run")
    assert ran.status == 2
    assert "Another daemon is running" in ran.err
    assert cli("sessions", "list").status == 0


def test_the_doctor_finds_a_healthy_house_and_an_open_file(cli: DaemonCommands) -> None:
    """All is ok while it runs; a file that others may read fails, exit 1."""
    # By its settings: their clock is injected, so what the other tests left open wakes nobody.
    doctor = ("--config", str(cli.folder / "leadmaster.toml"), "doctor")
    healthy = run_cli(*doctor, "--json").document
    assert [finding for finding in healthy["findings"] if not finding["ok"]] == []
    shown = run_cli(*doctor)
    assert (shown.status, "is open to the daemon only" in shown.out) == (0, True)
    assert {finding["check"] for finding in healthy["findings"]} >= {"database", "rules", "disk"}
    rules = next(each for each in healthy["findings"] if each["check"] == "rules")
    assert rules["sentence"].startswith("The files are sound: gate ")
    assert rules["sentence"].endswith("In force: leadmaster rules status.")
    loose = cli.folder / "leadmaster.db"
    before = loose.stat().st_mode
    loose.chmod(0o644)
    try:
        ill = cli.run_unchecked("doctor")
    finally:
        loose.chmod(before)
    assert ill.status == 1
    assert re.search("^fail modes .* is open to others", ill.out, re.MULTILINE)


def test_a_copied_database_is_refused_until_adopted(short_folder: Path) -> None:
    """A copy is a sentence and exit 2; --adopt takes it, halted, with nothing waiting."""
    original, copy = short_folder / "a", short_folder / "b"
    for folder in (original, copy):
        folder.mkdir()
    settings = CLI_SETTINGS.format(folder=copy)
    (copy / "leadmaster.toml").write_text(settings, encoding="utf-8")
    with run_daemon_in_state_folder(original) as process:
        cli = DaemonCommands(process)
        cli("sessions", "add", "ventas")
        (original / "l.csv").write_text(LIST, encoding="utf-8")
        cli("prospects", "import", str(original / "l.csv"), "--yes", "--json")
        waiting = cli("send", PHONE, "Hola", "--json").document["id"]
        status = process.stop()
    log = process.log.read_bytes()
    assert (status, b"Hola" in log, b"41234567" in log) == (0, False, False)
    for name in ("leadmaster.db", "suppressions.journal", "suppressions.key"):
        if (original / name).exists():
            (copy / name).write_bytes((original / name).read_bytes())
    refused = run_cli("--config", str(copy / "leadmaster.toml"), "run")
    assert refused.status == 2
    assert "doctor --adopt" in refused.err
    sick = run_cli("--state-dir", str(copy), "doctor")
    assert sick.status == 1
    adopted = run_cli("--state-dir", str(copy), "doctor", "--adopt", "the old machine burnt down")
    assert (adopted.status, "sending is halted" in adopted.out) == (0, True)
    with run_daemon_in_state_folder(copy) as again:
        cli = DaemonCommands(again)
        story = cli("queue", "show", waiting, "--json").document
        assert story["message"]["state"] == "cancelled"
        assert story["history"][-1]["reason_code"] == "database_adopted"
        assert cli("resume", "all is well").status == 0
        assert again.stop(signal.SIGINT) == 0


def test_kill_9_and_a_start_on_the_same_socket(short_folder: Path) -> None:
    """What a killed daemon left behind does not stop the next one."""
    with run_daemon_in_state_folder(short_folder) as first:
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    assert (short_folder / "control.sock").exists()
    with run_daemon_in_state_folder(short_folder) as second:
        assert second.stop() == 0
    assert not (short_folder / "control.sock").exists()


def test_a_start_says_where_it_is_and_what_is_next(short_folder: Path) -> None:
    """One line for the journal; the libraries' news is none."""
    with run_daemon_in_state_folder(short_folder) as process:
        addresses = process.client.get("status")["addresses"]
        process.stop()
    config, log = process.config, process.log.read_text(encoding="utf-8")
    told = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in told] == ["listening", "ready", "stopping"]
    assert told[0]["http"] == addresses["http"]
    assert told[0]["control"] == str(short_folder / "control.sock")
    assert told[0]["state"] == str(short_folder)
    assert told[0]["next"].startswith(f"leadmaster --config {config} users add NAME")
    assert (told[0]["engine"], len(told[0]["gate"])) == (ENGINE, 12)


def test_on_a_terminal_a_start_is_told_in_words(short_folder: Path) -> None:
    """Whoever types `leadmaster run` reads where to look, and how to come in."""
    config = short_folder / "leadmaster.toml"
    config.write_text(CLI_SETTINGS.format(folder=short_folder), encoding="utf-8")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        build_cli_command("--config", str(config), "run"), stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = ""
        while "Next: leadmaster" not in seen:
            seen += os.read(ours, 65536).decode()
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # the other end has closed: all was read
            while os.read(ours, 65536):
                pass
    os.close(ours)
    assert process.returncode == 0
    assert "LeadMaster is open: http://127.0.0.1:" in seen
    assert f"state in {short_folder}" in seen
