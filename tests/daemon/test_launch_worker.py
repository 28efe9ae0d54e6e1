"""A transport's worker: talks over a socket that it inherits, and is gone when it should be."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.api.launcher import LaunchWorker, Worker
from daemon.subprocesses import LaunchedWorker, start_worker_process
from daemon.worker_launcher import launch_worker
from tests.helpers.client.process import is_alive, poll_until
from tests.helpers.leaks import list_descriptors

ROOT = Path(__file__).parents[2]
MODULE = "tests.helpers.programs.socket_worker"
PARENT = f"""
import asyncio
from daemon.subprocesses import start_worker_process

async def main():
    worker = await start_worker_process({MODULE!r})
    worker.writer.write(b"start\\n")
    print(worker.pid, (await worker.reader.readline()).decode().strip(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""A program that starts a worker, which starts a child, and lives until it is killed."""


@contextlib.asynccontextmanager
async def launched(*arguments: str, **environment: str) -> AsyncIterator[LaunchedWorker]:
    """Lend a worker of the test's own."""
    places = {"PYTHONPATH": str(ROOT), **environment}
    worker = await start_worker_process(MODULE, arguments, environment=places)
    try:
        yield worker
    finally:
        await worker.close()


async def ask(worker: Worker, line: str) -> str:
    """Say a line and return the answer; empty where the worker has ended."""
    worker.writer.write(f"{line}\n".encode())
    return (await worker.reader.readline()).decode().strip()


async def test_a_worker_talks_over_a_socket_that_it_inherited() -> None:
    """With its arguments and environment; what a library prints is not part of it."""
    async with launched("--session", "ventas", LEADMASTER_TEST="yes") as worker:
        assert await ask(worker, "arguments") == "--session ventas"
        assert await ask(worker, "environment LEADMASTER_TEST") == "yes"
        assert await ask(worker, "print rubbish") == "print"
        assert os.getsid(worker.pid) == worker.pid != os.getsid(0)


@pytest.mark.parametrize(("end", "status"), [("die 3", 3), ("kill", -signal.SIGKILL)])
async def test_a_worker_that_dies_is_seen_with_all_that_it_started(end: str, status: int) -> None:
    """Its stream ends, its status is told to everybody, and its children go with it."""
    async with launched() as worker:
        child = int(await ask(worker, "start"))
        if end == "kill":
            os.kill(worker.pid, signal.SIGKILL)
        else:
            assert await ask(worker, end) == ""
        assert [*await asyncio.gather(worker.wait(), worker.wait())] == [status, status]
        assert await worker.reader.read() == b""
        poll_until(lambda: not is_alive(child), "the end of its child")


async def test_a_close_ends_the_worker_and_all_that_it_started_however_often() -> None:
    """Also two at once; and whoever gives up waiting for the end ends nothing."""
    async with launched() as worker:
        child = int(await ask(worker, "start"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.wait(), 0.01)
        await asyncio.gather(worker.close(), worker.close())
        await worker.close()
        assert await worker.wait() == -signal.SIGKILL
        assert not is_alive(worker.pid)
        poll_until(lambda: not is_alive(child), "the end of its child")


async def test_a_close_is_bounded_although_nothing_is_read() -> None:
    """What the worker said and nobody took, and what it was told and did not take, is lost."""
    async with launched() as worker:
        worker.writer.write(b"arguments\n" * 200_000)
        async with asyncio.timeout(5):
            await worker.close()
        assert not is_alive(worker.pid)


def test_a_worker_dies_with_a_daemon_that_was_killed() -> None:
    """The kernel ends it: no transport is left behind with a session's login."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        pid, child = map(int, parent.stdout.readline().split())
        parent.kill()
        poll_until(lambda: not is_alive(pid), "the end of the worker")
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


async def test_a_worker_that_can_not_start_leaves_nothing_open() -> None:
    """Neither end of the socket; and a module that is not there ends as a crash does."""
    before = list_descriptors()
    with pytest.raises(ValueError, match="null byte"):
        await start_worker_process(MODULE, environment={"X": "a\0b"})
    await asyncio.sleep(0)
    assert list_descriptors() == before
    worker = await start_worker_process("tests.helpers.programs.nothing_at_all")
    assert (await worker.reader.read(), await worker.wait()) == (b"", 1)
    await worker.close()


def test_what_the_daemon_lends_is_what_the_port_promises() -> None:
    """The types are one, and a checker holds them to it."""
    launch: LaunchWorker = launch_worker
    assert callable(launch)
