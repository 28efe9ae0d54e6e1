"""Ctrl-C at a terminal: one calm sentence, nothing half done, nothing left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli.client import ControlClient
from daemon.errors import LeadMasterError
from tests.helpers.client.process import (
    TIMEOUT_SECONDS,
    DaemonProcess,
    find_demo_folder,
    poll_until,
    run_daemon,
)
from tests.helpers.terminal import CTRL_C, PseudoTerminal, open_terminal

pytestmark = pytest.mark.slow

LEADMASTER = [sys.executable, "-m", "daemon"]
INSTALLED = str(Path(sys.prefix) / "bin" / "leadmaster")
SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[rules]
dir = "{folder}/rules.d"
check_seconds = 30.0
[simulated]
script = "{folder}/never.json"
"""
RULE = """
format: leadmaster/gate@1
vetoes:
  - {id: no_links, reason: Links scare people, when: {message.links|gte: 3}}
"""
PEOPLE = 20_000
WORK = ("reload", "backtest")
INTERRUPT_IMPORT = """
import os, signal, sys

class Interrupter:
    left = {count}

    def find_spec(self, name, path=None, target=None):
        if "daemon.__main__" in sys.modules or "click" in sys.modules:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupter())
"""
DEAF = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def settle(folder: Path) -> list[str]:
    """Write settings under which no phone ever scans a code; return the command line so far."""
    (folder / "never.json").write_text('{"scan_after": 9999}', encoding="utf-8")
    config = folder / "leadmaster.toml"
    config.write_text(SETTINGS.format(folder=folder), encoding="utf-8")
    return [*LEADMASTER, "--config", str(config)]


@contextlib.contextmanager
def in_a_terminal(folder: Path) -> Iterator[PseudoTerminal]:
    """Run the daemon as a person tries it, and wait until it is ready."""
    with open_terminal([*settle(folder), "run"]) as shown:
        shown.wait_for_text("\x1b[1mready")
        yield shown


def workers_of(pid: int) -> list[int]:
    """Return the child processes, whatever they are by now."""
    with contextlib.suppress(FileNotFoundError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def are_gone(pids: list[int]) -> bool:
    """Tell whether no process of these is left."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon in the background, with a session whose code waits to be scanned."""
    folder = tmp_path_factory.mktemp("daemon")
    settle(folder)
    (folder / "list.csv").write_text("telefono,nombre\n+5491141234567,Ana\n", encoding="utf-8")
    with run_daemon(folder, SETTINGS.format(folder=folder)) as found:
        found.client.post("sessions", name="ventas", channel="simulated")
        found.client.post("sessions", "ventas", "start")
        yield found


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("tail --after 0", "session.changed"),
        ("sessions qr ventas", "code 1 of"),
        ("users add ana --role admin", "Password"),
        ("sessions delete ventas", "Delete it?"),
        ("prospects import {folder}/list.csv", "[y/N]"),
    ],
)
def test_a_command_that_is_interrupted_says_so_and_gives_the_terminal_back(
    daemon: DaemonProcess, words: str, shown: str
) -> None:
    """At a stream, a live code and every question: exit 130, echo and cursor as they were."""
    config = ["--config", str(daemon.folder / "leadmaster.toml")]
    command = [*LEADMASTER, *config, *words.format(folder=daemon.folder).split()]
    with open_terminal(command) as person:
        person.wait_for_text(shown)
        person.press(CTRL_C)
        assert person.wait_for_exit() == 128 + signal.SIGINT
        person.wait_for_text("nterrupted")
        assert "Traceback" not in person.screen
        assert person.is_restored
    poll_until(
        lambda: daemon.client.get("sessions", "ventas")["state"] == "awaiting_scan",
        "a daemon that heard nothing of it",
    )


def test_ctrl_c_while_the_program_loads_is_no_traceback(tmp_path: Path) -> None:
    """The first tenths of a second are ours too; here one library takes its time."""
    slow = "import time; print('loading', flush=True); time.sleep(99)"
    (tmp_path / "click.py").write_text(slow, encoding="utf-8")
    search = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with open_terminal([*LEADMASTER, "--help"], {"PYTHONPATH": search}) as person:
        person.wait_for_text("loading")
        person.press(CTRL_C)
        assert person.wait_for_exit() == 128 + signal.SIGINT
        person.wait_for_text("interrupted")
        assert "Traceback" not in person.screen


def test_ctrl_c_before_the_first_line_is_no_traceback(tmp_path: Path) -> None:
    """Python itself is still starting: it loads what an environment adds to every program."""
    early = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / "sitecustomize.py").write_text(early, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [INSTALLED, "--version"], capture_output=True, check=False, timeout=60, env=environ
    )
    assert (ran.returncode, ran.stdout) == (128 + signal.SIGINT, b"")
    assert ran.stderr == b"\ninterrupted\n"


def test_ctrl_c_at_any_moment_of_a_start_is_no_traceback() -> None:
    """From the first instant on, shell and interpreter included."""
    for moment in range(40):
        command = [INSTALLED, "--version"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            time.sleep(moment / 200)
            started.send_signal(signal.SIGINT)
            _, said = started.communicate(timeout=60)
        assert said.strip() in {b"", b"interrupted"}
        assert started.returncode in {0, 128 + signal.SIGINT, -signal.SIGINT}


def test_an_import_under_way_is_cut_between_two_people(tmp_path: Path) -> None:
    """The drain ends it and its child; whoever waits is told; the same file goes on from there."""
    listed = tmp_path / "list.csv"
    lines = [f"+54911{40_000_000 + number},P {number}" for number in range(PEOPLE)]
    listed.write_text("\n".join(["telefono,nombre", *lines]), encoding="utf-8")
    client = ControlClient(tmp_path / "state" / "control.sock")
    with in_a_terminal(tmp_path) as daemon:
        upload = client.upload(listed.read_bytes(), "uploads", filename="list.csv")["upload"]
        plan = client.post("imports", "preview", upload=upload)["plan"]
        told = client.follow("imports", upload=upload, plan=plan)
        assert next(told)["type"] == "progress"
        children = workers_of(daemon.process.pid)
        assert children
        daemon.press(CTRL_C)
        *_, last = told
        assert (last["type"], last["problem"]["code"]) == ("refused", "unavailable")
        assert daemon.wait_for_exit() == 0
        assert are_gone(children)
        for word in ("Traceback", "never retrieved", "cut_short"):
            assert word not in daemon.screen
    with in_a_terminal(tmp_path) as daemon:
        before = client.get("prospects", limit=1)["items"]
        assert before
        *_, last = client.follow("imports", upload=upload, plan=plan)
        assert sum(last["report"]["counts"].values()) == PEOPLE
        daemon.press(CTRL_C)
        assert daemon.wait_for_exit() == 0


def test_children_at_work_end_with_the_daemon(tmp_path: Path) -> None:
    """Neither a trial of rules nor a backtest keeps the terminal waiting."""
    client = ControlClient(tmp_path / "state" / "control.sock")
    with in_a_terminal(tmp_path) as daemon:
        (tmp_path / "rules.d").mkdir()
        (tmp_path / "rules.d" / "gate.yaml").write_text(RULE, encoding="utf-8")
        asked = [threading.Thread(target=give_up, args=(client, work)) for work in WORK]
        for each in asked:
            each.start()
        children = poll_until(lambda: all_of(daemon.process.pid), "both children")
        daemon.press(CTRL_C)
        assert daemon.wait_for_exit() == 0
        for each in asked:
            each.join()
        assert are_gone(children)
        assert "Traceback" not in daemon.screen


def all_of(pid: int) -> list[int]:
    """Return the child processes, once all the work has one."""
    found = workers_of(pid)
    return found if len(found) == len(WORK) else []


def give_up(client: ControlClient, work: str) -> None:
    """Ask for work, and take it that the daemon ends before it is done."""
    with contextlib.suppress(LeadMasterError):
        list(client.follow("rules", work))


def test_a_daemon_that_was_started_deaf_still_hears(tmp_path: Path) -> None:
    """`&` in a script ignores SIGINT, and some starters block SIGTERM: it is obeyed."""
    client = ControlClient(tmp_path / "state" / "control.sock")
    command = [sys.executable, "-c", DEAF, *settle(tmp_path)[1:], "run"]
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log)
    with killing(daemon):
        poll_until(lambda: is_up(client), "readiness")
        daemon.terminate()
        assert daemon.wait(TIMEOUT_SECONDS) == 0


def is_up(client: ControlClient) -> bool:
    """Tell whether a daemon answers."""
    with contextlib.suppress(LeadMasterError):
        return client.get("status") is not None
    return False


@contextlib.contextmanager
def killing(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that did not end by itself."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def demonstration() -> Iterator[tuple[PseudoTerminal, Path, int]]:
    """Run the demonstration; lend it with its folder and its daemon's process."""
    with open_terminal([*LEADMASTER, "demo"]) as person:
        person.wait_for_text(", deleted at the end")
        folder = find_demo_folder(person.screen)
        [daemon] = workers_of(person.process.pid)
        yield person, folder, daemon


def test_asking_the_demonstration_twice_ends_it_at_once() -> None:
    """Its daemon is gone with it, and so is its folder."""
    with demonstration() as (person, folder, daemon):
        os.kill(daemon, signal.SIGSTOP)  # as one whose drain takes long
        person.press(CTRL_C)
        person.wait_for_text("^C")
        person.press(CTRL_C)
        # A second Ctrl-C that comes when all is tidied up ends the process by the signal itself;
        # shells report both as 130.
        assert person.wait_for_exit() in {128 + signal.SIGINT, -signal.SIGINT}
        assert are_gone([daemon])
        assert not folder.exists()
        assert "Traceback" not in person.screen


def test_a_demonstration_that_is_killed_leaves_no_daemon_and_at_the_next_start_no_folder() -> None:
    """Its daemon ends; the next start deletes its folder, and none of one that still runs."""
    with demonstration() as (killed, folder, daemon), demonstration() as (_, living, _):
        assert folder.is_dir()
        killed.process.kill()
        killed.wait_for_exit()
        poll_until(lambda: are_gone([daemon]), "the end of its daemon")
        assert folder.is_dir()
        with demonstration():
            assert not folder.exists()
            assert living.is_dir()


@pytest.mark.parametrize(
    ("words", "imports"), [("run", 5), ("run", 30), ("run", 90), ("demo", 30), ("status", 20)]
)
def test_ctrl_c_at_an_import_is_no_traceback(tmp_path: Path, words: str, imports: int) -> None:
    """After a few modules or many, in the middle of the library's own code: exit 130."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT_IMPORT.format(count=imports))
    search = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*settle(tmp_path), words],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "interrupted")
