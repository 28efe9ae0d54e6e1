"""Faults of this machine under a daemon that is sending: I1 to I5 hold after each of them.

`tests/journeys/day/checker.py` judges from outside: by the file, and by what people received.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from daemon.errors import LeadMasterError
from tests.helpers.client.process import (
    DaemonProcess,
    build_cli_command,
    poll_until,
    run_daemon,
)
from tests.helpers.transport import write_session_script
from tests.journeys.day.checker import Inbox, check_day

pytestmark = pytest.mark.slow

SETTINGS: Final = """
[daemon]
state_dir = "{folder}/state"
port = 0
drain_seconds = 1
[clock]
start = {start:%Y-%m-%dT%H:%M:%SZ}
[pacing]
new_chats_first_week = 500
new_chat_gap_minutes = 0
messages_per_minute = 120
[sessions]
silence_seconds = 25
degraded_seconds = 1
[sending]
answer_seconds = 5
[rules]
dir = "{folder}/rules.d"
check_seconds = 30.0
"""
SCRIPT: Final = {
    "scan_after": 0.1,
    "step": 0.05,
    "defaults": {"ack_delay": 0.3, "deliver_after": 0.1, "read_after": 0.1},
}
PAGE_SIZE: Final = "PRAGMA page_size"
READ_ONLY: Final = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
REFUSED: Final = 2
MORNING: Final = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
PEOPLE, SUPPRESSED = 10, 2
LEFT: Final = {"sent", "delivered", "read"}
HALF_REQUEST: Final = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
BROKEN_RULES: Final = "format: leadmaster/gate@1\nvetoes:\n  - {id: half, reason: Half wri"


@dataclass
class Installation:
    """A daemon that sends to people, what it accepted, and for whom."""

    daemon: DaemonProcess
    began: float = field(default_factory=time.monotonic)
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By the id of each accepted message, to whom it goes and its text."""
    suppressed: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    """What the platform does, each by its seconds since the session's first ready."""

    @property
    def pid(self) -> int:
        """Return the daemon's process."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    @property
    def wire(self) -> Path:
        """Return the file of what reached people."""
        return self.daemon.state_dir / "sessions" / "ventas" / "wire.jsonl"

    def find_address(self) -> tuple[str, int]:
        """Return the address of the public server."""
        where = urlsplit(self.daemon.client.get("status")["addresses"]["http"])
        assert where.hostname is not None
        assert where.port is not None
        return where.hostname, where.port

    def list_arrived(self) -> list[dict[str, Any]]:
        """Return what reached people, oldest first."""
        lines = self.wire.read_text(encoding="utf-8").splitlines() if self.wire.exists() else []
        return [json.loads(line) for line in lines]

    def start(self) -> None:
        """Start the daemon again; its clock goes on from where it is."""
        passed = timedelta(seconds=time.monotonic() - self.began + 1)
        folder = self.daemon.folder
        self.daemon.settings = SETTINGS.format(folder=folder, start=MORNING + passed)
        self.daemon.start()

    def refuse_start(self) -> str:
        """Start the daemon, which refuses; return what it says."""
        return self.daemon.run_command("run", expect=2)

    def queue_messages(self) -> list[str]:
        """Let messages to new people wait under a halt, some of whom opt out; return the ids."""
        client, known = self.daemon.client, len(self.texts)
        client.post("halt", reason="all at once")
        phones = [f"+54911412{known + number:05d}" for number in range(PEOPLE)]
        batch = []
        for phone in phones:
            entry = {"phone": phone, "cartera_origen": "feria", "permission": "opted_in"}
            made = client.post("prospects", **entry, statement="ticked the box")
            client.post("prospects", made["id"], "validate", validated=True, reason="called them")
            text = f"Hola, le escribo por la feria: {phone}"
            message = client.send(phone, text, session="ventas", wait=False)["id"]
            self.texts[message] = (phone, text)
            batch.append(message)
        for phone in phones[-SUPPRESSED:]:
            client.post("suppressions", phone=phone, reason="asked by phone")
            self.suppressed.add(phone)
        return batch

    def wait_until_settled(self, batch: list[str]) -> None:
        """Wait until each left, is in doubt, or may not go."""

        def is_settled() -> bool:
            with contextlib.suppress(LeadMasterError, OSError):
                items = self.daemon.client.get("messages", limit=200)["items"]
                states = {each["id"]: each["state"] for each in items}
                final = LEFT | {"in_doubt", "blocked", "cancelled"}
                return all(states.get(message) in final for message in batch)
            return False

        poll_until(is_settled, "every message settled")

    def find_faults(self) -> list[str]:
        """Return a sentence for each invariant that does not hold."""
        inboxes: dict[str, list[tuple[str, str]]] = {}
        for line in self.list_arrived():
            phone, text = self.texts[line["message"]]
            inboxes.setdefault(phone, []).append((line["wire_id"], text))
        everybody = [Inbox(phone, received) for phone, received in inboxes.items()]
        database = self.daemon.state_dir / "leadmaster.db"
        said = [
            f"{phone} is suppressed and was written to" for phone in self.suppressed & {*inboxes}
        ]
        return [*said, *check_day(database, everybody, list(self.texts))]

    @contextlib.contextmanager
    def limit(self, what: int, value: int) -> Iterator[None]:
        """Give the daemon another limit for the length of the block."""
        before = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (value, before[1]))
        try:
            yield
        finally:
            if self.daemon.process is not None and self.daemon.process.poll() is None:
                resource.prlimit(self.pid, what, before)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A daemon with a linked phone, for all of these faults, one after the other."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "state").mkdir(mode=0o700)
    (folder / "rules.d").mkdir()
    write_session_script(folder / "state", "ventas", SCRIPT)
    with run_daemon(folder, SETTINGS.format(folder=folder, start=MORNING)) as daemon:
        daemon.client.post("history", "none", reason="these people are made up")
        daemon.client.post("sessions", name="ventas", channel="simulated")
        daemon.client.post("sessions", "ventas", "start")
        wait_until_ready(daemon)
        yield Installation(daemon)


def wait_until_ready(daemon: DaemonProcess) -> None:
    """Wait until the phone is connected and nothing keeps the daemon from sending."""

    def is_ready() -> bool:
        with contextlib.suppress(LeadMasterError, OSError):
            state = daemon.client.get("sessions", "ventas")["state"]
            return bool(state == "ready" and daemon.get_document("/ready")[0] == 200)
        return False

    poll_until(is_ready, "it is ready")


@contextlib.contextmanager
def hold_half_requests(
    installation: Installation, address: tuple[str, int], count: int
) -> Iterator[None]:
    """Hold connections whose request never ends, to the public server and the control socket."""
    path = str(installation.daemon.state_dir / "control.sock")
    with contextlib.ExitStack() as stack:
        for number in range(count):
            kind = socket.AF_UNIX if number % 2 else socket.AF_INET
            connection = stack.enter_context(socket.socket(kind))
            with contextlib.suppress(OSError):  # refused: that is what a limit is for
                connection.connect(path if number % 2 else address)
                connection.sendall(HALF_REQUEST)
        yield


def wait_for_more(installation: Installation, count: int) -> None:
    """Wait until so many more messages have left than before."""
    before = len(installation.list_arrived())
    poll_until(lambda: len(installation.list_arrived()) >= before + count, "more have left")


@contextlib.contextmanager
def halt_meanwhile(installation: Installation) -> Iterator[None]:
    """Halt for the length of the block: what is made ready in it may take its time."""
    installation.daemon.client.post("halt", reason="so that some leave under the fault")
    yield
    installation.daemon.client.post("resume", reason="the fault is there")


def run_out_of_descriptors(installation: Installation) -> None:
    """Two are left, and half-open connections take those: what has to open a file may not go on.

    The writer looks into the database's file where it changed of late, and writes nothing unlooked.
    """
    with halt_meanwhile(installation):
        address = installation.find_address()
        used = max(int(path.name) for path in Path(f"/proc/{installation.pid}/fd").iterdir()) + 1
    log = installation.daemon.log
    held = hold_half_requests(installation, address, 20)
    with installation.limit(resource.RLIMIT_NOFILE, used + 2), held:
        poll_until(lambda: "out of system resource" in log.read_text("utf-8"), "none is left")
    assert "Exception in callback" not in log.read_text("utf-8")


def run_out_of_memory(installation: Installation) -> None:
    """No page more than it has; then the kernel ends it, as where a group's memory is used up."""
    pages = int(Path(f"/proc/{installation.pid}/statm").read_text().split()[0])
    with installation.limit(resource.RLIMIT_AS, pages * resource.getpagesize()):
        for _ in range(20):
            with contextlib.suppress(LeadMasterError, OSError):
                installation.daemon.client.get("messages", limit=200)
        installation.daemon.kill()
    installation.start()


def hang_until_the_watchdog_ends_it(installation: Installation) -> None:
    """It stands still in the middle of whatever it does, and is ended as systemd does."""
    assert installation.daemon.process is not None
    installation.daemon.process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        installation.daemon.process.wait(1)
    installation.daemon.process.send_signal(signal.SIGABRT)
    installation.daemon.kill()
    installation.start()


def restart_again_and_again(installation: Installation) -> None:
    """Killed as soon as it is up, four times."""
    for _ in range(4):
        installation.daemon.kill()
        installation.start()


def meet_slow_connections(installation: Installation) -> None:
    """Two hundred requests that never end, while messages leave."""
    with contextlib.ExitStack() as stack:
        with halt_meanwhile(installation):
            address = installation.find_address()
            stack.enter_context(hold_half_requests(installation, address, 200))
        wait_for_more(installation, 3)


def break_the_rules(installation: Installation) -> None:
    """A file that is half written: what was in force stays so, and the file is named."""
    client = installation.daemon.client
    path = installation.daemon.folder / "rules.d" / "gate.yaml"
    with halt_meanwhile(installation):
        path.write_text(BROKEN_RULES, encoding="utf-8")
        client.post("rules", "reload")
        assert "gate.yaml" in str(client.get("rules")["rejected"]["problems"])
    wait_for_more(installation, 1)
    path.unlink()
    client.post("rules", "reload")


def let_the_connection(do: str, installation: Installation) -> None:
    """Let the connection to the platform be cut, fall silent, or lose its process."""
    client = installation.daemon.client
    told = installation.daemon.state_dir / "sessions" / "ventas" / "told.jsonl"
    lines = map(json.loads, told.read_text(encoding="utf-8").splitlines())
    ready = next(datetime.fromisoformat(each["at"]) for each in lines if each["key"] == "ready")
    passed = datetime.fromisoformat(client.get("status")["now"]) - ready
    installation.events.append({"at": passed.total_seconds() + 2, "do": do})
    write_session_script(
        installation.daemon.state_dir, "ventas", {**SCRIPT, "line": installation.events}
    )
    client.post("sessions", "ventas", "restart")
    key = f"line:{len(installation.events) - 1}"
    poll_until(lambda: f'"{key}"' in told.read_text(encoding="utf-8"), f"{do} happened")
    poll_until(lambda: client.get("sessions", "ventas")["state"] != "ready", f"{do} is seen")


def lose_the_database(installation: Installation) -> None:
    """It is away at a start, which is refused and makes no other; then it is back."""
    installation.daemon.kill()
    database = installation.daemon.state_dir / "leadmaster.db"
    away = installation.daemon.folder / "away.db"
    database.rename(away)
    assert "leadmaster.db" in installation.refuse_start()
    assert not database.exists()
    away.rename(database)
    installation.start()


def lose_the_database_while_sending(installation: Installation) -> None:
    """It is moved away under a daemon that sends, which stops at that; then it is back."""
    daemon, away = installation.daemon, installation.daemon.folder / "moved"
    away.mkdir()
    files = [daemon.state_dir / f"leadmaster.db{end}" for end in ("", "-wal", "-shm")]
    for path in files:
        path.rename(away / path.name)
    poll_until(lambda: "database_replaced" in str(daemon.get_document("/ready")), "it is missed")
    left = len(installation.list_arrived())
    phone, _ = next(iter(installation.texts.values()))
    with pytest.raises(LeadMasterError, match=r"leadmaster\.db"):
        daemon.client.send(phone, "Nobody accepts this.", session="ventas", wait=False)
    assert daemon.stop() == REFUSED
    assert len(installation.list_arrived()) <= left + 1  # one may have been on the wire
    assert not files[0].exists()
    for path in files:
        (away / path.name).rename(path)
    away.rmdir()
    installation.start()


def damage_the_database_while_sending(installation: Installation) -> None:
    """A page that each message needs can't be read any more; later the disk gives it back."""
    daemon, path = installation.daemon, installation.daemon.state_dir / "leadmaster.db"
    daemon.stop()  # so that its pages are in the file, and none in the log
    installation.start()
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'halts_one_open'"
        [page], [size] = database.execute(query).fetchone(), database.execute(PAGE_SIZE).fetchone()
    whole = write_page(path, page, b"\xff" * size)
    poll_until(lambda: "database_damaged" in str(daemon.get_document("/ready")), "it is noticed")
    left = len(installation.list_arrived())
    phone, _ = next(iter(installation.texts.values()))
    with pytest.raises(LeadMasterError, match=r"leadmaster\.db is damaged"):
        daemon.client.send(phone, "Nobody accepts this.", session="ventas", wait=False)
    daemon.stop()
    assert len(installation.list_arrived()) <= left + 1  # one may have been on the wire
    assert "is damaged" in installation.refuse_start()
    write_page(path, page, whole)
    installation.start()


def write_page(path: Path, page: int, content: bytes) -> bytes:
    """Write a page of the database as a disk would, without a new time; return what was there."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek((page - 1) * len(content))
        found = file.read(len(content))
        file.seek((page - 1) * len(content))
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return found


def find_the_database_read_only(installation: Installation) -> None:
    """Its folder can't be written to at a start, which is refused before anything is promised."""
    installation.daemon.kill()
    folder = str(installation.daemon.state_dir)
    command = build_cli_command("--config", str(installation.daemon.config), "run")
    # In a mount namespace of its own: file modes mean nothing to root.
    refused = subprocess.run(
        ["unshare", "--mount", "sh", "-c", READ_ONLY, folder, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == REFUSED, refused.stderr
    assert "database_read_only" in refused.stderr
    installation.start()


def meet_a_newer_database(installation: Installation) -> None:
    """A newer program has migrated it: this one refuses to start, until that one's step is gone."""
    installation.daemon.kill()
    path = installation.daemon.state_dir / "leadmaster.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('leadmaster', 'm999_from_the_future', '2030-01-01T00:00:00Z')"
        )
    assert "newer" in installation.refuse_start()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM _sqlite_migrations WHERE name = 'm999_from_the_future'")
    installation.start()


FAULTS: Final[Mapping[str, Callable[[Installation], None]]] = {
    "fd_limit": run_out_of_descriptors,
    "memory_limit": run_out_of_memory,
    "hung_loop": hang_until_the_watchdog_ends_it,
    "slow_connections": meet_slow_connections,
    "bad_rule_file": break_the_rules,
    "database_missing": lose_the_database,
    "database_missing_running": lose_the_database_while_sending,
    "database_damaged_running": damage_the_database_while_sending,
    "database_read_only": find_the_database_read_only,
    "database_newer": meet_a_newer_database,
    "restart_storm": restart_again_and_again,
    "network_cut": partial(let_the_connection, "disconnect"),
    "half_open": partial(let_the_connection, "silence"),
    "worker_dead": partial(let_the_connection, "die"),
}
"""By the name of a fault in docs/reference/faults.md, what does it to a daemon that is sending."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_invariants_hold_under_a_fault(installation: Installation, fault: str) -> None:
    """Nothing is lost, none goes twice, unjudged or to who opted out; it is ready again unaided."""
    batch = installation.queue_messages()
    installation.daemon.client.post("resume", reason="all at once")
    wait_for_more(installation, 2)
    FAULTS[fault](installation)
    wait_until_ready(installation.daemon)
    installation.wait_until_settled(batch)
    assert installation.find_faults() == []
    assert installation.daemon.client.get("status")["blockers"] == []
