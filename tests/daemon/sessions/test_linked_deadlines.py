"""What a session does by its own timers on the real library: silence, no answer, new attempts.

The deadlines are shortened here; the shipped ones are shown in `test_shipped_deadlines.py`, on an
injected clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from daemon.api.signals import InboundMessage
from daemon.api.transport import Acknowledged
from daemon.sessions.connection import SessionUnavailable
from daemon.settings import SessionSettings
from statemachines.session import ConnectionState, SendingState
from tests.helpers.client.process import poll_until
from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.library import FAST_KEEP_ALIVE
from tests.virtual_whatsapp.linked_sessions import LinkedSessions, open_linked_sessions
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"
S = ConnectionState
QUICK = SessionSettings(backoff_seconds=0.2)
OpenLinked: TypeAlias = Callable[..., AbstractAsyncContextManager[LinkedSessions]]


@pytest.fixture
def open_linked(tmp_path: Path) -> OpenLinked:
    """Return a function that opens sessions of nobody yet, with settings, and a WhatsApp."""

    @contextlib.asynccontextmanager
    async def open_sessions(
        settings: SessionSettings = QUICK, *, fast_keep_alive: bool = False
    ) -> AsyncIterator[LinkedSessions]:
        async with VirtualWhatsApp(tmp_path) as whatsapp:
            if fast_keep_alive:
                whatsapp.environment = {**whatsapp.environment, **FAST_KEEP_ALIVE}
            async with open_linked_sessions(tmp_path / "state", whatsapp, settings) as linked:
                yield linked

    return open_sessions


def list_states(linked: LinkedSessions) -> list[tuple[str, str]]:
    """Return the states and reasons of the session's events; repetitions are left out."""
    told: list[tuple[str, str]] = []
    for event in linked.events:
        each = str(event.data["state"]), str(event.data["reason_code"])
        if told[-1:] != [each]:
            told.append(each)
    return told


async def test_a_keep_alive_that_is_lost_stops_sending_until_it_is_restored(
    open_linked: OpenLinked,
) -> None:
    """The library's own word, by its own keep-alive."""
    async with open_linked(fast_keep_alive=True) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.fall_silent()
        view = await linked.wait_for("ventas", S.DEGRADED)
        assert (view.status, view.reason_code, view.user_action) == (
            "STARTING", "keepalive_lost", "none"
        )  # fmt: skip
        assert not linked.sessions.can_send("ventas", new_chat=False)
        linked.whatsapp.answer_again()
        view = await linked.wait_for("ventas", S.READY)
        assert (view.status, view.reason_code, view.user_action) == ("WORKING", "ready", "none")
        assert linked.sessions.can_send("ventas", new_chat=False)
        assert len(linked.workers) == 1


async def test_a_silence_that_lasts_leads_to_another_worker(open_linked: OpenLinked) -> None:
    """Three minutes as shipped; the old connection stays silent for ever."""
    settings = SessionSettings(backoff_seconds=0.2, degraded_seconds=0.5)
    async with open_linked(settings, fast_keep_alive=True) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.fall_silent()
        await linked.wait_for("ventas", S.DEGRADED)
        await linked.wait_for("ventas", S.READY)
        assert len(linked.workers) == 2
        degraded = list_states(linked).index(("degraded", "keepalive_lost"))
        assert list_states(linked)[degraded + 1] == ("starting", "silent_too_long")


async def test_a_session_that_hears_nothing_at_all_stops_sending_by_itself(
    open_linked: OpenLinked,
) -> None:
    """Whatever the library believes; the next frame mends it."""
    # Longer than the 5 s within which the worker reports one frame only.
    async with open_linked(SessionSettings(silence_seconds=6.0)) as linked:
        phone = linked.whatsapp.add_phone(NUMBER)
        await linked.link("ventas", phone)
        view = await linked.wait_for("ventas", S.DEGRADED)
        assert (view.reason_code, view.user_action) == ("line_silent", "none")
        ana = linked.whatsapp.add_contact(CONTACT)
        await linked.whatsapp.write(ana, phone, "hola")
        await linked.wait_for("ventas", S.READY)
        assert len(linked.workers) == 1


async def test_an_unknown_stream_error_leads_to_another_worker(open_linked: OpenLinked) -> None:
    """Ten seconds as shipped; the socket stays open and is logged out."""
    settings = SessionSettings(backoff_seconds=0.2, stream_error_seconds=0.5)
    async with open_linked(settings) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        await linked.whatsapp.broadcast(faults.build_stream_error(599))
        view = await linked.wait_for("ventas", S.DEGRADED)
        assert (view.status, view.reason_code, view.user_action) == (
            "STARTING", "stream_error", "none"
        )  # fmt: skip
        await linked.wait_for("ventas", S.READY)
        assert len(linked.workers) == 2


async def test_a_phone_that_was_linked_and_never_connects_needs_no_second_code(
    open_linked: OpenLinked,
) -> None:
    """A minute as shipped, then another worker, with the login that was stored."""
    settings = SessionSettings(backoff_seconds=0.2, pairing_seconds=1.0)
    async with open_linked(settings) as linked:
        linked.whatsapp.faults.silent = True
        await linked.start("ventas")
        await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
        view = await linked.wait_for("ventas", S.BACKOFF)
        assert (view.reason_code, view.user_action) == ("connect_timed_out", "wait_until")
        linked.whatsapp.faults.silent = False
        await linked.wait_for("ventas", S.READY)
        reasons = linked.list_reasons("ventas")
        assert reasons.count("qr_issued") == 1
        assert len(linked.workers) == 2


async def test_a_session_without_a_connection_gets_another_worker(open_linked: OpenLinked) -> None:
    """Two minutes as shipped."""
    settings = SessionSettings(backoff_seconds=0.2, connect_seconds=1.5)
    async with open_linked(settings) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.faults.silent = True
        linked.whatsapp.cut()
        await linked.wait_for_reason("ventas", "connect_timed_out")
        assert linked.sessions.view("ventas").user_action == "wait_until"
        linked.whatsapp.faults.silent = False
        await linked.wait_for("ventas", S.READY)
        assert len(linked.workers) >= 3


@pytest.mark.parametrize("code", [500, 503])
async def test_trouble_of_whatsapps_is_waited_out(open_linked: OpenLinked, code: int) -> None:
    """Each wait is longer than the one before; what is to be sent waits, and goes out after it."""
    async with open_linked() as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.faults.login_failure = faults.build_login_failure(code)
        linked.whatsapp.cut()
        await linked.wait_for_reason("ventas", "server_trouble")
        ana = linked.whatsapp.add_contact(CONTACT)
        waits = await linked.send("ventas", CONTACT, "Hola")
        assert isinstance(waits, SessionUnavailable)
        assert waits.retryable
        while linked.sessions.view("ventas").attempts < 3:
            await linked.events.wait_for(len(linked.events) + 1)
        view = linked.sessions.view("ventas")
        assert (view.status, view.user_action) == ("STARTING", "wait_until")
        linked.whatsapp.faults.login_failure = None
        await linked.wait_for("ventas", S.READY)
        assert isinstance(await linked.send("ventas", CONTACT, "Hola"), Acknowledged)
        assert [each.text for each in ana.received] == ["Hola"]


async def test_only_a_stable_connection_makes_the_next_wait_short_again(
    open_linked: OpenLinked,
) -> None:
    """A minute as shipped; being connected proves nothing."""
    async with open_linked(SessionSettings(backoff_seconds=0.2, stable_seconds=1.0)) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.cut()
        await linked.wait_for("ventas", S.BACKOFF)
        view = await linked.wait_for("ventas", S.READY)
        assert view.attempts == 1
        # That is no event: nobody has to know of it.
        await asyncio.to_thread(
            poll_until, lambda: linked.sessions.view("ventas").attempts == 0, "the wait is short"
        )
        assert linked.sessions.view("ventas").state is S.READY


@pytest.mark.parametrize("code", [400, 409, 415, 418, 501])
async def test_a_refusal_is_tried_once_more_and_then_a_person_looks(
    open_linked: OpenLinked, code: int
) -> None:
    """A quarter of an hour as shipped."""
    async with open_linked(SessionSettings(refusal_retry_seconds=0.5)) as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        linked.whatsapp.faults.login_failure = faults.build_login_failure(code)
        await linked.sessions.restart("ventas", "ana")
        view = await linked.wait_for("ventas", S.FAILED)
        assert (view.status, view.reason_code, view.user_action) == (
            "FAILED", "connection_refused", "wait_until"
        )  # fmt: skip
        await linked.wait_for("ventas", S.CONNECTING)
        view = await linked.wait_for("ventas", S.FAILED)
        assert (view.reason_code, view.user_action, view.deadline) == (
            "connection_refused", "acknowledge", None
        )  # fmt: skip
        linked.whatsapp.faults.login_failure = None
        await linked.sessions.acknowledge("ventas", "ana")
        await linked.sessions.start("ventas", "ana")
        await linked.wait_for("ventas", S.READY)


async def test_the_end_of_a_ban_is_a_persons_to_confirm(open_linked: OpenLinked) -> None:
    """Nothing is sent before; afterwards the number only replies."""
    async with open_linked() as linked:
        phone = linked.whatsapp.add_phone(NUMBER)
        await linked.link("ventas", phone)
        linked.whatsapp.faults.login_failure = faults.build_ban(104, 2)
        linked.whatsapp.cut()
        view = await linked.wait_for("ventas", S.BANNED_TEMPORARILY)
        assert (view.reason_code, view.user_action) == ("banned_same_message", "wait_until")
        await linked.wait_for_reason("ventas", "ban_expired")
        view = linked.sessions.view("ventas")
        assert (view.state, view.user_action) == (S.BANNED_TEMPORARILY, "acknowledge")
        linked.whatsapp.faults.login_failure = None
        await linked.sessions.acknowledge("ventas", "ana")
        await linked.sessions.start("ventas", "ana")
        view = await linked.wait_for("ventas", S.READY)
        assert view.sending is SendingState.REPLY_ONLY


async def test_a_pairing_that_is_forged_ends_and_a_person_begins_again(
    open_linked: OpenLinked,
) -> None:
    """The library checks who made what links it."""
    async with open_linked() as linked:
        linked.whatsapp.faults.forged_pairing = True
        await linked.start("ventas")
        phone = linked.whatsapp.add_phone(NUMBER)
        await linked.scan("ventas", phone)
        view = await linked.wait_for("ventas", S.QR_EXPIRED)
        assert (view.status, view.reason_code, view.user_action) == (
            "FAILED", "pairing_refused", "restart_pairing"
        )  # fmt: skip
        linked.whatsapp.faults.forged_pairing = False
        await linked.wait_for_code("ventas", linked.sessions.restart("ventas", "ana"))
        await linked.scan("ventas", phone)
        await linked.wait_for("ventas", S.READY)


async def test_a_passkey_is_what_this_channel_can_not_give(open_linked: OpenLinked) -> None:
    """It says so; no worker waits for an answer."""
    async with open_linked() as linked:
        await linked.start("ventas")
        shown = linked.sessions.qr("ventas")
        assert shown is not None
        await linked.whatsapp.request_passkey(shown.code)
        view = await linked.wait_for("ventas", S.FAILED)
        assert (view.status, view.reason_code, view.user_action) == (
            "FAILED", "passkey_requested", "acknowledge"
        )  # fmt: skip
        assert "passkey" in view.sentence
        assert await linked.wait_for_workers(0) == []


async def test_a_worker_that_hangs_is_followed_by_another(open_linked: OpenLinked) -> None:
    """Thirty seconds without a heartbeat as shipped; it is killed, whatever holds it."""
    async with open_linked() as linked:
        await linked.start("ventas", heartbeat_timeout=1.5)
        await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
        await linked.wait_for("ventas", S.READY)
        linked.kill_worker(signal.SIGSTOP)
        view = await linked.wait_for("ventas", S.BACKOFF)
        assert (view.reason_code, view.user_action) == ("worker_died", "wait_until")
        await linked.wait_for("ventas", S.READY)
        assert await linked.workers[0].wait() == -signal.SIGKILL


async def test_a_library_that_passes_on_no_more_events_is_followed_by_another(
    open_linked: OpenLinked,
) -> None:
    """A receipt of a kind that it does not know ends its events, and it would be deaf for ever."""
    async with open_linked() as linked:
        phone = linked.whatsapp.add_phone(NUMBER)
        await linked.link("ventas", phone)
        ana = linked.whatsapp.add_contact(CONTACT)
        await linked.whatsapp.send_receipt(phone, ana.lid, "3EB0", "view")
        view = await linked.wait_for("ventas", S.BACKOFF)
        assert (view.status, view.reason_code, view.user_action) == (
            "STARTING", "worker_died", "wait_until"
        )  # fmt: skip
        await linked.wait_for("ventas", S.READY)
        await linked.whatsapp.write(ana, phone, "hola")
        [inbound] = await linked.wait_for_signals(InboundMessage, 1)
        assert inbound.text == "hola"


async def test_a_worker_beyond_its_memory_is_followed_by_another(open_linked: OpenLinked) -> None:
    """512 MB as shipped; with less than it needs to load its library, each one is beyond it."""
    async with open_linked() as linked:
        options = {"memory_limit_mb": 30, "heartbeat_timeout": 1.5}
        await linked.sessions.create("ventas", "linked", "America/Bogota", options)
        await linked.sessions.start("ventas", "ana")
        view = await linked.wait_for("ventas", S.BACKOFF)
        assert (view.status, view.reason_code, view.user_action) == (
            "STARTING", "worker_died", "wait_until"
        )  # fmt: skip
        await linked.wait_for("ventas", S.FAILED)
        assert len(linked.workers) == 5


async def test_five_workers_that_die_in_a_row_are_a_persons_case(open_linked: OpenLinked) -> None:
    """In ten minutes as shipped; a start by hand begins again."""
    async with open_linked() as linked:
        await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
        for _ in range(4):
            linked.kill_worker()
            view = await linked.wait_for("ventas", S.BACKOFF)
            assert view.reason_code == "worker_died"
            await linked.wait_for("ventas", S.READY)
        linked.kill_worker()
        view = await linked.wait_for("ventas", S.FAILED)
        assert (view.status, view.reason_code, view.user_action, view.deadline) == (
            "FAILED", "crashed_too_often", "acknowledge", None
        )  # fmt: skip
        assert len(linked.workers) == 5
        await linked.sessions.start("ventas", "ana")
        await linked.wait_for("ventas", S.READY)
