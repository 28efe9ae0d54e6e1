"""Each signal of WhatsApp ends in its state: from the wire, through the library, to what is shown.

What takes time is in `test_linked_deadlines.py`; `docs/reference/linked-signals.md` has the table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.signals import InboundMessage
from daemon.api.transport import Acknowledged, Refused
from statemachines.session import ConnectionState, PhoneState, SendingState
from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.binary_node import Node
from tests.virtual_whatsapp.linked_sessions import LinkedSessions, open_linked_sessions
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"
BAN_SECONDS = 3600
S = ConnectionState


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[LinkedSessions]:
    """Return sessions of nobody yet, and a WhatsApp."""
    async with (
        VirtualWhatsApp(tmp_path) as whatsapp,
        open_linked_sessions(tmp_path / "state", whatsapp) as opened,
    ):
        yield opened


async def test_a_session_is_linked_by_its_code(linked: LinkedSessions) -> None:
    """Every step is an event, and the number is that of the phone."""
    await linked.start("ventas")
    view = linked.sessions.view("ventas")
    assert (view.status, view.user_action) == ("SCAN_QR_CODE", "scan_qr")
    shown = linked.sessions.qr("ventas")
    assert shown is not None
    assert (shown.index, shown.maximum) == (1, 6)
    assert shown.expires_at - shown.at == timedelta(seconds=60)
    assert not linked.sessions.can_send("ventas", new_chat=False)
    await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
    view = await linked.wait_for("ventas", S.READY)
    assert (view.status, view.phone, view.phone_state) == ("WORKING", NUMBER, PhoneState.SEEN)
    names = ("state", "status", "reason_code", "user_action")
    told = [tuple(str(event.data[name]) for name in names) for event in linked.events]
    assert [each for each in told if each[2] != "created"] == [
        ("starting", "STARTING", "started_by_person", "none"),
        ("awaiting_scan", "SCAN_QR_CODE", "qr_issued", "scan_qr"),
        ("pairing", "STARTING", "scanned", "none"),
        ("connecting", "STARTING", "paired", "none"),
        ("syncing", "STARTING", "connected", "none"),
        ("ready", "WORKING", "ready", "none"),
    ]


async def test_codes_that_nobody_scans_run_out(linked: LinkedSessions) -> None:
    """The library shows one after the other, 20 seconds each where there are fewer than six."""
    linked.whatsapp.faults.pairing_codes = 2
    await linked.start("ventas")
    view = await linked.wait_for("ventas", S.QR_EXPIRED)
    assert (view.status, view.user_action) == ("FAILED", "restart_pairing")
    assert linked.sessions.qr("ventas") is None
    # A person starts it again, and the phone is at hand this time.
    await linked.wait_for_code("ventas", linked.sessions.restart("ventas", "ana"))
    await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
    await linked.wait_for("ventas", S.READY)


@pytest.mark.parametrize(
    ("failure", "state", "reason", "action"),
    [
        (faults.build_login_failure(401), S.LOGGED_OUT, "logged_out", "restart_pairing"),
        (faults.build_login_failure(403), S.BLOCKED, "blocked", "acknowledge"),
        (faults.build_login_failure(406), S.BLOCKED, "blocked", "acknowledge"),
        (faults.build_login_failure(405), S.OUTDATED, "outdated", "upgrade"),
    ],
    ids=lambda value: value.text("reason") if isinstance(value, Node) else None,
)
async def test_a_login_that_is_refused_ends_in_its_state(
    linked: LinkedSessions, failure: Node, state: ConnectionState, reason: str, action: str
) -> None:
    """The phone is linked, and WhatsApp refuses the login that follows."""
    linked.whatsapp.faults.login_failure = failure
    await linked.start("ventas")
    await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
    view = await linked.wait_for("ventas", state)
    assert (view.status, view.reason_code, view.user_action) == ("FAILED", reason, action)
    assert not linked.sessions.can_send("ventas", new_chat=False)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (101, "banned_too_many_unknown_people"),
        (102, "banned_blocked_by_people"),
        (103, "banned_groups"),
        (104, "banned_same_message"),
        (106, "banned_broadcast"),
    ],
)
async def test_a_temporary_ban_lasts_as_long_as_whatsapp_says(
    linked: LinkedSessions, code: int, reason: str
) -> None:
    """Everything stops until then; a person confirms afterwards."""
    linked.whatsapp.faults.login_failure = faults.build_ban(code, BAN_SECONDS)
    await linked.start("ventas")
    await linked.scan("ventas", linked.whatsapp.add_phone(NUMBER))
    view = await linked.wait_for("ventas", S.BANNED_TEMPORARILY)
    assert (view.status, view.reason_code, view.user_action) == ("FAILED", reason, "wait_until")
    assert view.sending is SendingState.NONE
    assert view.banned_until is not None
    left = view.banned_until - datetime.now(UTC)
    assert timedelta(seconds=BAN_SECONDS - 120) < left <= timedelta(seconds=BAN_SECONDS)


@pytest.mark.parametrize(
    ("node", "state", "reason", "action"),
    [
        (faults.build_replaced(), S.REPLACED, "replaced", "acknowledge"),
        (faults.build_device_removed(), S.LOGGED_OUT, "logged_out", "restart_pairing"),
    ],
    ids=["replaced", "device removed"],
)
async def test_what_ends_a_stream_ends_in_its_state(
    linked: LinkedSessions, node: Node, state: ConnectionState, reason: str, action: str
) -> None:
    """In the middle of a session that was ready."""
    await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
    await linked.whatsapp.broadcast(node)
    view = await linked.wait_for("ventas", state)
    assert (view.status, view.reason_code, view.user_action) == ("FAILED", reason, action)
    assert not linked.sessions.can_send("ventas", new_chat=False)


async def test_a_connection_that_is_cut_comes_back_by_another_worker(
    linked: LinkedSessions,
) -> None:
    """Without a code; the session decides when, the library does not."""
    await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
    linked.whatsapp.cut()
    view = await linked.wait_for("ventas", S.BACKOFF)
    assert view.reason_code == "disconnected"
    await linked.wait_for("ventas", S.READY)
    assert len(linked.workers) == 2
    # The library logs in again by itself within milliseconds: once more, where its worker is slow
    # to end.
    assert len(linked.whatsapp.logins) in {2, 3}


async def test_without_a_network_a_session_waits_and_does_not_count_as_crashed(
    linked: LinkedSessions,
) -> None:
    """The library gives up at once; five crashes would need a person."""
    linked.whatsapp.close_network()
    await linked.sessions.create("ventas", "linked", "America/Bogota", {})
    await linked.sessions.start("ventas", "ana")
    view = await linked.wait_for("ventas", S.BACKOFF)
    assert view.reason_code == "disconnected"


async def test_a_worker_that_is_killed_is_followed_by_another(linked: LinkedSessions) -> None:
    """What was written meanwhile is not lost."""
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.link("ventas", phone)
    linked.kill_worker()
    view = await linked.wait_for("ventas", S.BACKOFF)
    assert view.reason_code == "worker_died"
    ana = linked.whatsapp.add_contact(CONTACT)
    await linked.whatsapp.write(ana, phone, "hola")
    await linked.wait_for("ventas", S.READY)
    [inbound] = await linked.wait_for_signals(InboundMessage, 1)
    assert inbound.text == "hola"


async def test_a_timelock_closes_new_chats_and_replies_go_on(linked: LinkedSessions) -> None:
    """Error 463 on a send."""
    await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
    ana = linked.whatsapp.add_contact(CONTACT)
    linked.whatsapp.faults.refused[CONTACT] = faults.TIMELOCK
    refused = await linked.send("ventas", CONTACT, "Hola", new_chat=True)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retryable) == (faults.TIMELOCK, False)
    await linked.wait_for_reason("ventas", "reach_out_timelock")
    view = linked.sessions.view("ventas")
    assert (view.state, view.sending) == (S.READY, SendingState.REPLY_ONLY)
    assert (view.status, view.user_action) == ("WORKING", "acknowledge")
    linked.whatsapp.faults.refused.clear()
    assert isinstance(await linked.send("ventas", CONTACT, "Hola", new_chat=True), Refused)
    assert isinstance(await linked.send("ventas", CONTACT, "Hola"), Acknowledged)
    assert [each.text for each in ana.received] == ["Hola"]


async def test_a_person_unlinks_a_session(linked: LinkedSessions) -> None:
    """WhatsApp knows, and the next start shows a code."""
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.link("ventas", phone)
    await linked.sessions.logout("ventas", "ana")
    view = linked.sessions.view("ventas")
    assert (view.state, view.phone_state) == (S.STOPPED, PhoneState.UNLINKED)
    assert phone.devices == {}
    await linked.wait_for_code("ventas", linked.sessions.start("ventas", "ana"))


async def test_a_session_without_a_connection_is_unlinked_at_whatsapp_too(
    linked: LinkedSessions,
) -> None:
    """A worker connects for that alone."""
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.link("ventas", phone)
    await linked.sessions.stop("ventas", "ana")
    await linked.sessions.logout("ventas", "ana")
    assert phone.devices == {}


async def test_what_people_wrote_is_stored_before_a_session_is_unlinked(
    linked: LinkedSessions,
) -> None:
    """It waits at WhatsApp for this device, and goes with it."""
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.link("ventas", phone)
    await linked.sessions.stop("ventas", "ana")
    ana = linked.whatsapp.add_contact(CONTACT)
    await linked.whatsapp.write(ana, phone, "BAJA")
    await linked.sessions.logout("ventas", "ana")
    assert phone.devices == {}
    assert [each.text for _, each in linked.stored if isinstance(each, InboundMessage)] == ["BAJA"]


async def test_three_sessions_live_and_die_apart(linked: LinkedSessions) -> None:
    """One is replaced, one is logged out, and the third goes on."""
    names = ["uno", "dos", "tres"]
    phones = [linked.whatsapp.add_phone(f"{NUMBER[:-1]}{number}") for number in range(1, 4)]
    devices = [await linked.link(name, phone) for name, phone in zip(names, phones, strict=True)]
    [first] = linked.whatsapp.find_connections(devices[0].jid)
    await first.send(faults.build_replaced())
    await linked.whatsapp.unlink(phones[1], devices[1])
    await linked.wait_for("uno", S.REPLACED)
    await linked.wait_for("dos", S.LOGGED_OUT)
    ana = linked.whatsapp.add_contact(CONTACT)
    assert isinstance(await linked.send("tres", CONTACT, "Hola"), Acknowledged)
    assert [each.text for each in ana.received] == ["Hola"]
    assert linked.sessions.view("tres").state is S.READY
    [megabytes] = await linked.wait_for_workers(1)
    print(f"proportional set size of the worker that is left: {megabytes} MB")
    assert megabytes > 0
