"""The real worker as a socket unit of systemd's: whom it accepts, what it is told, how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.api.launcher import Worker
from daemon.api.permit import PermitSigner
from daemon.linked_worker.systemd_unit import NotAUnit, find_session_folder
from daemon.worker_launcher import launch_worker
from tests.helpers.worker_unit import WorkerUnit

pytestmark = pytest.mark.slow

MODULE = "daemon.linked_worker"
SECONDS = 30
HEARTBEAT_SECONDS = "0.1"


@pytest.fixture
async def unit(short_folder: Path) -> AsyncIterator[WorkerUnit]:
    """Return a slot whose socket listens."""
    async with WorkerUnit(short_folder).running() as running:
        yield running


async def connect(unit: WorkerUnit, session: str = "ventas", module: str = MODULE) -> Worker:
    """Connect to a slot as the daemon does."""
    key = PermitSigner().public_key.public_bytes_raw().hex()
    arguments = ["--driver", "neonize", "--session", session, "--permit-key", key]
    arguments += ["--heartbeat", HEARTBEAT_SECONDS]
    return await launch_worker(module, arguments, socket=unit.path)


async def read_event(worker: Worker) -> dict[str, Any]:
    """Return the next event of a worker."""
    async with asyncio.timeout(SECONDS):
        while (frame := json.loads(await worker.reader.readline()))["kind"] != "event":
            pass
    body: dict[str, Any] = frame["body"]
    return body


async def test_a_connection_starts_a_worker_and_its_end_ends_it(unit: WorkerUnit) -> None:
    """Again and again, each in the session's own part of the slot's folder."""
    for number in (1, 2):
        worker = await connect(unit)
        hello = await read_event(worker)
        assert (hello["type"], hello["driver"], hello["login"]) == ("hello", "neonize", False)
        assert worker.pid is None
        assert (unit.state / "ventas").is_dir()
        worker.writer.write_eof()
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(worker.wait(), worker.reader.read())
        await worker.close()
        await worker.close()
        await unit.wait_for_end(number)
    assert unit.ends == [0, 0]


async def test_a_killed_worker_is_seen_by_the_end_of_its_connection(unit: WorkerUnit) -> None:
    """How it ended is for its service manager to know."""
    worker = await connect(unit)
    await read_event(worker)
    unit.kill()
    async with asyncio.timeout(SECONDS):
        assert await worker.wait() is None
    await worker.close()


async def test_another_session_is_told_that_the_slot_is_taken(unit: WorkerUnit) -> None:
    """At once, and the first one is not disturbed."""
    first = await connect(unit)
    await read_event(first)
    second = await connect(unit, "cobros")
    refusal = await read_event(second)
    assert refusal["type"] == "unavailable"
    assert "slot of its own" in refusal["sentence"]
    assert not (unit.state / "cobros").exists()
    await second.close()
    assert not first.reader.at_eof()
    await first.close()


async def test_who_is_told_so_may_speak_late(unit: WorkerUnit) -> None:
    """A daemon on a busy machine: the answer is there when it has written its own line."""
    first = await connect(unit)
    await read_event(first)
    with socket.socket(socket.AF_UNIX) as second:
        second.connect(str(unit.path))
        await asyncio.sleep(0.3)
        second.sendall(b'{"kind":"arguments","module":"daemon.linked_worker","arguments":[]}\n')
        second.settimeout(SECONDS)
        assert b"slot of its own" in await asyncio.to_thread(second.recv, 1024)
    await first.close()


async def test_another_user_is_refused(short_folder: Path) -> None:
    """Although the file let them connect: the kernel says who they are."""
    async with WorkerUnit(short_folder, daemon_user="nobody").running() as unit:
        worker = await connect(unit)
        async with asyncio.timeout(SECONDS):
            # Closed with what was sent unread, which a socket may report as a reset.
            await worker.wait()
        await worker.close()
        unit.kill()
        assert "who is not the daemon's" in await unit.wait_for_end()
        assert list(unit.state.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "did not say which session"),
        (b"", "ended before"),
        (
            b'{"kind":"arguments","module":"os","arguments":[]}\n',
            "another worker: 'os'",
        ),
    ],
)
async def test_what_says_no_session_ends_the_worker_with_a_sentence(
    unit: WorkerUnit, line: bytes, why: str
) -> None:
    """In the journal; nothing is served."""
    with socket.socket(socket.AF_UNIX) as somebody:
        somebody.connect(str(unit.path))
        somebody.sendall(line)
        somebody.shutdown(socket.SHUT_WR)
        assert why in await unit.wait_for_end()
    assert unit.ends == [1]


async def test_a_worker_keeps_to_its_own_folder(unit: WorkerUnit, tmp_path: Path) -> None:
    """Whatever folder it is told."""
    key = PermitSigner().public_key.public_bytes_raw().hex()
    arguments = ["--driver", "neonize", "--session", "ventas", "--permit-key", key]
    worker = await launch_worker(
        MODULE, [*arguments, "--folder", str(tmp_path / "elsewhere")], socket=unit.path
    )
    await read_event(worker)
    assert (unit.state / "ventas").is_dir()
    assert not (tmp_path / "elsewhere").exists()
    await worker.close()


@pytest.mark.parametrize("name", ["../ventas", "/etc", "", ".", "Ventas", "a" * 33])
def test_a_name_that_could_lead_out_of_the_folder_is_refused(name: str) -> None:
    """The daemon has no such session."""
    with pytest.raises(NotAUnit):
        find_session_folder(Path("/var/lib/slot"), name)


async def test_the_watchdog_is_fed_as_long_as_the_worker_lives(short_folder: Path) -> None:
    """With each heartbeat; a hung library feeds it no more, and systemd strikes."""
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(short_folder / "notify"))
    notify.settimeout(SECONDS)
    unit = WorkerUnit(short_folder, environment={"NOTIFY_SOCKET": str(short_folder / "notify")})
    with notify:
        async with unit.running():
            worker = await connect(unit)
            await read_event(worker)
            fed = [await asyncio.to_thread(notify.recv, 64) for _ in range(3)]
            assert fed == [b"WATCHDOG=1"] * 3
            await worker.close()


async def test_without_a_socket_unit_nobody_is_connected(short_folder: Path) -> None:
    """The daemon gets the error of the system, at once."""
    with pytest.raises(FileNotFoundError):
        await launch_worker(MODULE, socket=short_folder / "nothing.sock")
