"""A session on the real library stops in time, whatever holds its worker, and none is left."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.api.transport import Unknown
from statemachines.session import ConnectionState
from tests.virtual_whatsapp.linked_sessions import LinkedSessions, open_linked_sessions
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"
STOP_SECONDS = 3.0


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[LinkedSessions]:
    """Return a session that is ready, at a WhatsApp that acknowledges nothing to one contact."""
    async with (
        VirtualWhatsApp(tmp_path) as whatsapp,
        open_linked_sessions(tmp_path / "state", whatsapp) as opened,
    ):
        whatsapp.faults.unacknowledged.add(CONTACT)
        await opened.link("ventas", whatsapp.add_phone(NUMBER))
        yield opened


@pytest.mark.parametrize("sends", [False, True], ids=["at rest", "in a send"])
@pytest.mark.parametrize("stopped", [False, True], ids=["runs", "is stopped by the kernel"])
async def test_a_session_stops_in_three_seconds(
    linked: LinkedSessions, *, sends: bool, stopped: bool
) -> None:
    """The library waits 75 seconds for an acknowledgement; a stopped process waits for ever."""
    contact = linked.whatsapp.add_contact(CONTACT)
    sending = asyncio.create_task(linked.send("ventas", CONTACT, "Hola")) if sends else None
    if sending is not None:
        await contact.received.wait_for(1)
    if stopped:
        linked.kill_worker(signal.SIGSTOP)
    began = time.monotonic()
    await linked.sessions.stop("ventas", "ana")
    assert time.monotonic() - began < STOP_SECONDS
    assert linked.sessions.view("ventas").state is ConnectionState.STOPPED
    if sending is not None:
        # It may have left: nobody says that it did not.
        assert isinstance(await sending, Unknown)
    expected = -signal.SIGKILL if stopped else 0
    assert await linked.workers[0].wait() == expected
    assert await linked.wait_for_workers(0) == []


async def test_the_daemons_end_does_not_wait_for_a_worker_that_hangs(
    linked: LinkedSessions,
) -> None:
    """All sessions close at once."""
    linked.kill_worker(signal.SIGSTOP)
    began = time.monotonic()
    await linked.sessions.close()
    assert time.monotonic() - began < STOP_SECONDS
    assert await linked.workers[0].wait() == -signal.SIGKILL
