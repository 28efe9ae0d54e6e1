"""Previews have few child processes, and one ends with the client that asked for it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.preview import ImportPreview
from daemon.contacts.imports.process import ImportProcess
from daemon.contacts.imports.service import MAX_PREVIEWS, MAX_WAITING_PREVIEWS
from daemon.errors import Unavailable
from tests.helpers.client.console import ConsoleServer
from tests.helpers.services.imports import open_import_services

pytestmark = pytest.mark.slow

BLOCK = "import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); s.recv(1)"
"""Program of a child that reads nothing, and can be noticed: it connects, and ends when killed."""
LIST = b"nombre;tel\nAna;+5491141234567\n"

Children = asyncio.Queue[asyncio.Event]


@contextlib.asynccontextmanager
async def watch_children(path: Path) -> AsyncIterator[Children]:
    """Yield the queue of connected children; each event is set when its child has ended."""
    started: Children = asyncio.Queue()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        await started.put(ended)
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_unix_server(note, path):
        yield started


@pytest.fixture
async def children(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Children]:
    """Block every child process of an import while it loads its plugins."""
    site, socket_path = short_folder / "site", short_folder / "children"
    (site / "blocker-1.dist-info").mkdir(parents=True)
    (site / "blocker-1.dist-info" / "METADATA").write_text("Name: blocker\nVersion: 1\n")
    (site / "blocker-1.dist-info" / "entry_points.txt").write_text(
        "[leadmaster.plugins]\nblocker = blocker\n"
    )
    (site / "blocker.py").write_text(BLOCK.format(path=str(socket_path)))
    monkeypatch.setenv("PYTHONPATH", str(site))
    async with watch_children(socket_path) as started:
        yield started


@pytest.mark.parametrize("page", [False, True], ids=["api", "page"])
async def test_a_preview_ends_with_the_client_that_asked_for_it(
    console: ConsoleServer, children: Children, *, page: bool
) -> None:
    """Whoever closes the connection leaves no process behind."""
    api = console.api
    upload = (await api.call("POST", "/v1/uploads?filename=l.csv", data=LIST)).document["upload"]
    if page:
        asked = api.get(f"/pieces/imports/preview?upload={upload}")
    else:
        asked = api.call("POST", "/v1/imports/preview", json={"upload": upload})
    request = asyncio.create_task(asked)
    async with asyncio.timeout(120):
        child_ended = await children.get()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await child_ended.wait()


async def test_two_lists_are_read_at_a_time_and_many_that_wait_are_refused(
    tmp_path: Path, short_folder: Path
) -> None:
    """A further one begins when one has ended."""
    path, socket_path = tmp_path / "list.csv", short_folder / "children"
    path.write_bytes(LIST)
    command = (sys.executable, "-c", BLOCK.format(path=str(socket_path)))
    async with (
        watch_children(socket_path) as started,
        open_import_services(tmp_path, child=ImportProcess(command)) as services,
        asyncio.timeout(120),
    ):

        def start() -> asyncio.Task[ImportPreview]:
            return asyncio.create_task(services.imports.preview(path, ImportOptions()))

        running = [start() for _ in range(MAX_PREVIEWS)]
        for _ in running:
            await started.get()
        further = [start() for _ in range(MAX_WAITING_PREVIEWS + 1)]
        (refused,), waiting = await asyncio.wait(further, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(refused.exception(), Unavailable)
        assert started.empty()
        running[0].cancel()
        await started.get()
        for each in (*running, *waiting):
            each.cancel()
        await asyncio.gather(*running, *waiting, return_exceptions=True)
