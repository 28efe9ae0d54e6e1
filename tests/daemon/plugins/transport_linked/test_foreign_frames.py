"""Frames that daemon and worker do not understand: of another version, too long, or none."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.api.signals import TransportDied
from daemon.api.transport import CannotOpen
from daemon.linked_worker.protocol import MAX_LINE_BYTES, PROTOCOL_VERSION
from daemon.plugins.transport_linked.options import LinkedOptions
from daemon.plugins.transport_linked.worker_client import WorkerClient
from daemon.subprocesses import start_worker_process
from daemon.worker_protocol import WorkerFailed
from tests.daemon.plugins.transport_linked.scripted_line import ScriptedLine

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
FOREIGN = "tests.helpers.programs.foreign_linked_worker"


def build_hello(**otherwise: object) -> str:
    """Return the first frame of a worker."""
    body = {
        "type": "hello",
        "protocol": PROTOCOL_VERSION,
        "driver": "other",
        "driver_version": "1",
        "library_version": "2",
        "login": True,
        **otherwise,
    }
    return json.dumps({"kind": "event", "body": body}) + "\n"


@asynccontextmanager
async def open_foreign_worker(lines: str, filler: int = 0) -> AsyncIterator[WorkerClient]:
    """Start a worker that writes these lines."""
    environment: Mapping[str, str] = {
        "PYTHONPATH": os.fspath(ROOT),
        "LINES": lines,
        "FILLER": str(filler),
    }
    worker = await start_worker_process(FOREIGN, environment=environment)
    client = WorkerClient(worker, LinkedOptions())
    try:
        yield client
    finally:
        await client.close()


async def test_a_worker_of_this_version_is_understood() -> None:
    """The tests below would pass with any broken hello otherwise."""
    async with open_foreign_worker(build_hello()) as client:
        hello = await client.wait_for_hello()
        assert (hello.driver, hello.library_version) == ("other", "2")


@pytest.mark.parametrize("version", [PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1])
async def test_a_worker_of_another_version_is_refused_with_a_sentence(version: int) -> None:
    """It is not tried again: only a person can mend that."""
    async with open_foreign_worker(build_hello(protocol=version)) as client:
        with pytest.raises(CannotOpen, match="another version of LeadMaster; restart the daemon"):
            await client.wait_for_hello()


@pytest.mark.parametrize(
    ("lines", "filler", "why"),
    [
        ("what is no frame\n", 0, "sent what is no frame"),
        (build_hello(protocol="two"), 0, "sent what is no frame"),
        ('{"kind":"progress","body":1}\n', 0, "sent what is no frame"),
        ("", MAX_LINE_BYTES + 1, "broke the protocol"),
    ],
    ids=["no frame", "wrong type", "unknown kind", "too long"],
)
async def test_a_worker_that_breaks_the_protocol_is_given_up(
    lines: str, filler: int, why: str
) -> None:
    """Before its first frame; the session tries another one."""
    async with open_foreign_worker(lines, filler) as client:
        with pytest.raises(WorkerFailed, match=why):
            await client.wait_for_hello()


async def test_a_signal_that_nobody_knows_ends_the_worker() -> None:
    """What it meant may have been a ban."""
    rumour = {"kind": "event", "body": {"type": "signal", "name": "Rumour", "fields": {}}}
    async with open_foreign_worker(build_hello() + json.dumps(rumour) + "\n") as client:
        await client.wait_for_hello()
        assert await client.next_signal() is None
        assert client.failure == "reported a Rumour that can't be read"


@pytest.mark.parametrize(
    "request_line",
    [b"what is no request\n", b'{"kind":"request","body":{"type":"dance"}}\n', b"x" * (1 << 21)],
    ids=["no request", "unknown request", "too long"],
)
async def test_a_request_that_a_worker_does_not_know_ends_it(
    line: ScriptedLine, request_line: bytes
) -> None:
    """It can't say what it did not do."""
    await line.open()
    assert line.worker is not None
    line.worker.writer.write(request_line)
    [death] = [each for each in await line.wait_for_end() if isinstance(each, TransportDied)]
    assert "failed" in death.detail or "ended" in death.detail
