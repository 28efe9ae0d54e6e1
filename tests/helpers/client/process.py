"""The real daemon, its command line and the demonstration, as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Final, TypeVar
from urllib.request import HTTPCookieProcessor, Request, build_opener

from daemon.cli.client import ControlClient, Json
from daemon.demo.environment import START_SECONDS, STOP_SECONDS
from daemon.errors import LeadMasterError

T = TypeVar("T")
TIMEOUT_SECONDS = 60.0
RULES_DIR_SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T15:00:00Z
rate = 20.0
[rules]
dir = "{folder}/rules.d"
check_seconds = 30.0
"""
"""Settings of a daemon with a rules folder, in daytime; more of `[rules]` may be appended."""
SCRIPTED_SETTINGS = """
[daemon]
state_dir = "{folder}/state"
port = 0
[clock]
start = 2026-03-03T14:00:00Z
rate = 20.0
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 600
[simulated]
script = "{folder}/script.json"
"""
"""Settings of a daemon whose phones follow a script, with large budgets."""
CLI_SETTINGS = """
[daemon]
state_dir = "{folder}"
port = 0
drain_seconds = 1
[clock]
start = 2026-03-03T14:00:00Z
rate = 20.0
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
manual_new_chats_first_month = 50
manual_new_chats_24h_first_month = 50
number_checks = 500
number_check_min_age_days = 0
"""
"""Settings of a daemon with its state in the same folder, with large budgets."""
CLI_PHONE_SCRIPT = {
    "scan_after": 4,
    "defaults": {"ack_delay": 0.1, "deliver_after": 0.1, "read_after": 0.1},
}
_POLL_SECONDS = 0.05


def poll_until(get_answer: Callable[[], T | None], what: str) -> T:
    """Return the first true answer; fail with ``what`` after the timeout."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends:
        if found := get_answer():
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"never came: {what}")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Json:
        """Return the JSON document that the command printed."""
        return json.loads(self.out)


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    # The state comes after the name in brackets, which may contain blanks and brackets.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def read_pss_mb(pid: int) -> int:
    """Return the proportional set size of a process, in MB: shared memory counts by its share.

    Raises :class:`OSError` where it has ended.
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(map(int, re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE))) // 1024


def build_cli_command(*arguments: str) -> list[str]:
    """Return the command line of `leadmaster` with these arguments."""
    return [sys.executable, "-m", "daemon", *arguments]


def run_cli(*arguments: str, text: str = "", **environ: str) -> CommandResult:
    """Run a command to its end."""
    done = subprocess.run(
        build_cli_command(*arguments),
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        env={**os.environ, **environ},
        check=False,
    )
    # Whatever happens, a person must never see a traceback.
    assert "Traceback" not in done.stderr, done.stderr
    return CommandResult(done.returncode, done.stdout, done.stderr)


@dataclass
class DaemonProcess:
    """One installation in a folder. ``settings`` is the text of its leadmaster.toml.

    ``state`` is the state folder in these settings, relative to the folder; ``python`` runs it.
    """

    folder: Path
    settings: str
    process: subprocess.Popen[bytes] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    state: str = "state"
    python: str = sys.executable

    @property
    def config(self) -> Path:
        """Return the settings file."""
        return self.folder / "leadmaster.toml"

    @property
    def state_dir(self) -> Path:
        """Return the state folder."""
        return self.folder / self.state

    @property
    def log(self) -> Path:
        """Return the file with the daemon's output."""
        return self.folder / "daemon.log"

    @property
    def client(self) -> ControlClient:
        """Return a client of the control socket."""
        return ControlClient(self.state_dir / "control.sock")

    def start(self) -> None:
        """Start the process; return once it is ready."""
        self.config.write_text(self.settings, encoding="utf-8")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, *build_cli_command("--config", str(self.config), "run")[1:]],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "NO_COLOR": "1", **self.environ},
                cwd=self.folder,
            )
        poll_until(self._ready, f"readiness; the log says:\n{self.log.read_text()[-3000:]}")

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended:\n{self.log.read_text()[-3000:]}")
        with contextlib.suppress(LeadMasterError, OSError):
            return self.client.get("status") is not None
        return False

    def kill(self) -> None:
        """Kill the process as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process with a signal; return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def get_document(self, path: str) -> tuple[int, Json]:
        """Send a GET request for any path to the control socket; return status and document."""
        connection = HTTPConnection("leadmaster", timeout=TIMEOUT_SECONDS)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.state_dir / "control.sock"))
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def run_command(self, *words: str, expect: int = 0) -> str:
        """Run a command and return its output; fail for another exit status."""
        environ = {"NO_COLOR": "1", **self.environ}
        done = run_cli("--config", str(self.config), *words, **environ)
        assert done.status == expect, f"{words}: {done.status}\n{done.out}{done.err}"
        return done.out + done.err

    def run_json_command(self, *words: str) -> Json:
        """Run a command with ``--json`` and return the document."""
        return json.loads(self.run_command(*words, "--json"))


class PageReader:
    """A signed-in browser without scripts."""

    def __init__(self, daemon: DaemonProcess) -> None:
        daemon.run_command("users", "add", "ana", "--role", "admin", "--link-only")
        words = daemon.run_command("open", "ana").split()
        link = next(each for each in words if "/sign-in#" in each)
        self._base, _, secret = link.partition("/sign-in#")
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))
        body = json.dumps({"link": secret}).encode()
        headers = {"Content-Type": "application/json"}
        asked = Request(f"{self._base}/v1/sign-in/link", body, headers)  # noqa: S310 - loopback
        with self._opener.open(asked, timeout=30):
            pass

    def open_page(self, language: str, path: str = "/") -> str:
        """Return a page, Today if no other is asked for."""
        asked = Request(f"{self._base}{path}", headers={"Accept-Language": language})  # noqa: S310
        with self._opener.open(asked, timeout=30) as page:
            return str(page.read().decode())


@dataclass(frozen=True, slots=True)
class DaemonCommands:
    """Runs commands on the state folder of a running daemon."""

    daemon: DaemonProcess

    @property
    def folder(self) -> Path:
        """Return the daemon's state folder."""
        return self.daemon.state_dir

    @property
    def socket(self) -> str:
        """Return the control socket's path."""
        return str(self.daemon.state_dir / "control.sock")

    def __call__(
        self, *words: str, text: str = "", status: int = 0, **environ: str
    ) -> CommandResult:
        """Run a command with a text on its standard input; fail for another exit status."""
        ran = self.run_unchecked(*words, text=text, **environ)
        assert ran.status == status, ran.out + ran.err
        return ran

    def run_unchecked(self, *words: str, text: str = "", **environ: str) -> CommandResult:
        """Run a command that may fail."""
        return run_cli("--state-dir", str(self.folder), *words, text=text, **environ)

    def run_json_command(self, *words: str, text: str = "") -> Json:
        """Run a command with ``--json`` and return the document."""
        return self(*words, "--json", text=text).document

    def call_http(self, path: str, token: str = "", **body: str) -> tuple[int, Json]:
        """Send a request to the public server; return the status and the document."""
        base = self.daemon.client.get("status")["addresses"]["http"]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = json.dumps(body).encode() if body else None
        request = urllib.request.Request(base + path, content, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextlib.contextmanager
def run_daemon(
    folder: Path, settings: str, environ: Mapping[str, str] | None = None, *, state: str = "state"
) -> Iterator[DaemonProcess]:
    """Run a daemon for the length of the block."""
    daemon = DaemonProcess(folder, settings, environ=environ or {}, state=state)
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(10)


@contextlib.contextmanager
def run_daemon_in_state_folder(folder: Path) -> Iterator[DaemonProcess]:
    """Run a daemon with `CLI_SETTINGS`, whose state is in the folder of its settings."""
    with run_daemon(folder, CLI_SETTINGS.format(folder=folder), state=".") as daemon:
        yield daemon


_DEMO_TIMEOUT_SECONDS: Final = 90.0 + START_SECONDS
_LINK: Final = re.compile(r"the console: (http://\S+)")
_FOLDER: Final = re.compile(r"folder (\S+), deleted at the end")
_VISITOR_PROMPT: Final = "Ctrl-C ends the demonstration."


def find_demo_folder(output: str) -> Path:
    """Return the folder that the demonstration promises to delete."""
    return Path(_FOLDER.findall(output)[0])


@dataclass(slots=True)
class DemoProcess:
    """A demonstration that waits for its visitor: its output so far, and its process."""

    process: asyncio.subprocess.Process
    output: str = ""

    @property
    def link(self) -> str:
        """Return the newest sign-in link in the output."""
        return str(_LINK.findall(self.output)[-1])

    @property
    def folder(self) -> Path:
        """Return the folder that it promises to delete."""
        return find_demo_folder(self.output)

    @property
    def client(self) -> ControlClient:
        """Return a client of its daemon's control socket."""
        return ControlClient(self.folder / "control.sock")

    async def wait_for_visitor_turn(self) -> None:
        """Read the output until the demonstration waits for its visitor."""
        assert self.process.stdout is not None
        while _VISITOR_PROMPT not in self.output:
            line = await self.process.stdout.readline()
            assert line, f"the demonstration ended by itself:\n{self.output}"
            self.output += line.decode()

    async def interrupt(self) -> int:
        """Press Ctrl-C; return the exit status after the end."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(self.process.communicate(), 2 * STOP_SECONDS)
        self.output += rest.decode()
        assert self.process.returncode is not None
        return self.process.returncode


def run_demo(rate: float) -> contextlib.AbstractAsyncContextManager[DemoProcess]:
    """Run the demonstration up to the visitor's turn, and end it after the block."""
    return run_demo_program("daemon", "demo", "--stay", "--rate", str(rate))


@contextlib.asynccontextmanager
async def run_demo_program(module: str, *words: str) -> AsyncIterator[DemoProcess]:
    """Run a module that is a demonstration up to the visitor's turn, and end it after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    shown = DemoProcess(process)
    try:
        await asyncio.wait_for(shown.wait_for_visitor_turn(), _DEMO_TIMEOUT_SECONDS)
        yield shown
    finally:
        if process.returncode is None:
            await shown.interrupt()
