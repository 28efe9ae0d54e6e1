"""A phone is linked by a code that is typed on it: through the library, to what is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.transport import Acknowledged
from daemon.errors import BadRequest, Conflict
from statemachines.qr import PairingMethod, QrState
from statemachines.session import ConnectionState, PhoneState
from tests.virtual_whatsapp.link_code import WrongLinkCode
from tests.virtual_whatsapp.linked_sessions import LinkedSessions, open_linked_sessions
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER, OTHER, CONTACT = "+5491155550001", "+5491155550002", "+5491155550101"
S = ConnectionState


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[LinkedSessions]:
    """Return sessions of nobody yet, and a WhatsApp."""
    async with (
        VirtualWhatsApp(tmp_path) as whatsapp,
        open_linked_sessions(tmp_path / "state", whatsapp) as opened,
    ):
        yield opened


async def test_a_phone_is_linked_by_the_code_that_is_typed_on_it(linked: LinkedSessions) -> None:
    """Every step is an event; the code is in none of them, and neither is the number before."""
    phone = linked.whatsapp.add_phone(NUMBER)
    code = await linked.start_by_code("ventas", NUMBER)
    view = linked.sessions.view("ventas")
    assert (view.state, view.status, view.user_action) == (
        S.AWAITING_SCAN,
        "SCAN_QR_CODE",
        "enter_code",
    )
    assert (view.pairing, view.pairing_method) == (QrState.ISSUED, PairingMethod.CODE)
    assert linked.sessions.qr("ventas") is None
    shown = linked.sessions.pairing_code("ventas")
    assert shown is not None
    left = shown.expires_at - datetime.now(UTC)
    assert timedelta(seconds=120) < left <= timedelta(seconds=160)
    assert code not in repr(shown)
    before = str([event.data for event in linked.events])
    assert code not in before
    assert NUMBER[1:] not in before

    await linked.whatsapp.enter_code(phone, code)
    view = await linked.wait_for("ventas", S.READY)
    assert (view.phone, view.phone_state) == (NUMBER, PhoneState.SEEN)
    assert linked.sessions.pairing_code("ventas") is None
    reasons = [each for each in linked.list_reasons("ventas") if each != "created"]
    expected = ["started_by_person", "pairing_code_issued", "scanned", "paired", "connected"]
    assert reasons == [*expected, "ready"]
    ana = linked.whatsapp.add_contact(CONTACT)
    assert isinstance(await linked.send("ventas", CONTACT, "Hola"), Acknowledged)
    assert [each.text for each in ana.received] == ["Hola"]


async def test_a_wrong_code_links_nothing_and_the_right_one_counts_still(
    linked: LinkedSessions,
) -> None:
    """The phone tells its owner; the session goes on waiting."""
    phone = linked.whatsapp.add_phone(NUMBER)
    code = await linked.start_by_code("ventas", NUMBER)
    with pytest.raises(WrongLinkCode):
        await linked.whatsapp.enter_code(phone, "AAAA-AAAA")
    assert linked.sessions.view("ventas").state is S.AWAITING_SCAN
    await linked.whatsapp.enter_code(phone, code)
    await linked.wait_for("ventas", S.READY)


async def test_a_code_that_nobody_types_expires_and_a_person_asks_for_another(
    linked: LinkedSessions,
) -> None:
    """The QR codes that WhatsApp counts behind it are used up."""
    linked.whatsapp.faults.pairing_codes = 1
    phone = linked.whatsapp.add_phone(NUMBER)
    first = await linked.start_by_code("ventas", NUMBER)
    view = await linked.wait_for("ventas", S.QR_EXPIRED)
    assert (view.reason_code, view.user_action) == ("pairing_code_expired", "restart_pairing")
    assert linked.sessions.pairing_code("ventas") is None
    linked.whatsapp.faults.pairing_codes = 6
    second = await linked.ask_for_code("ventas", NUMBER)
    assert second != first
    await linked.whatsapp.enter_code(phone, second)
    await linked.wait_for("ventas", S.READY)


async def test_a_person_turns_from_the_qr_to_the_code_and_back(linked: LinkedSessions) -> None:
    """Each time by a new connection; what was shown before counts no more."""
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.start("ventas")
    await linked.ask_for_code("ventas", NUMBER)
    assert linked.sessions.qr("ventas") is None
    await linked.wait_for_code("ventas", linked.sessions.restart("ventas", "ana"))
    view = linked.sessions.view("ventas")
    assert (view.pairing_method, view.user_action) == (PairingMethod.QR, "scan_qr")
    assert linked.sessions.pairing_code("ventas") is None
    await linked.scan("ventas", phone)
    await linked.wait_for("ventas", S.READY)


async def test_a_number_that_gets_no_code_is_told_so(linked: LinkedSessions) -> None:
    """It is wrong, or asked too often: the library says no more than that."""
    linked.whatsapp.faults.link_code_refused = 429
    await linked.sessions.create("ventas", "linked", "America/Bogota", {})
    await linked.sessions.request_pairing_code("ventas", NUMBER, "ana")
    view = await linked.wait_for("ventas", S.QR_EXPIRED)
    assert (view.reason_code, view.user_action) == ("pairing_code_refused", "restart_pairing")


async def test_another_number_than_the_one_that_was_given_is_unlinked_again(
    linked: LinkedSessions,
) -> None:
    """WhatsApp knows it too; nothing of the stranger is stored."""
    other = linked.whatsapp.add_phone(OTHER)
    ana = linked.whatsapp.add_contact(CONTACT)
    code = await linked.start_by_code("ventas", NUMBER)
    await linked.whatsapp.enter_code(other, code, number=NUMBER)
    await linked.whatsapp.write(ana, other, "para otro")
    view = await linked.wait_for("ventas", S.QR_EXPIRED)
    assert (view.reason_code, view.phone) == ("paired_other_number", None)
    assert view.phone_state is PhoneState.UNLINKED
    assert other.devices == {}
    assert not linked.stored
    assert OTHER[1:] not in str([event.data for event in linked.events])


async def test_the_same_line_in_another_spelling_is_the_number_that_was_given(
    linked: LinkedSessions,
) -> None:
    """Argentina writes a mobile number with and without its 9."""
    phone = linked.whatsapp.add_phone(NUMBER)
    spelled = NUMBER.replace("+549", "+54")
    code = await linked.start_by_code("ventas", spelled)
    await linked.whatsapp.enter_code(phone, code, number=spelled)
    view = await linked.wait_for("ventas", S.READY)
    assert view.phone == NUMBER


async def test_a_worker_that_dies_while_its_code_is_shown_is_followed_by_a_new_code(
    linked: LinkedSessions,
) -> None:
    """The old one is worth nothing any more."""
    phone = linked.whatsapp.add_phone(NUMBER)
    first = await linked.start_by_code("ventas", NUMBER)
    linked.kill_worker()
    view = await linked.wait_for("ventas", S.BACKOFF)
    assert linked.sessions.pairing_code("ventas") is None
    await linked.wait_for("ventas", S.AWAITING_SCAN)
    shown = linked.sessions.pairing_code("ventas")
    assert shown is not None
    assert shown.code != first
    await linked.whatsapp.enter_code(phone, shown.code)
    view = await linked.wait_for("ventas", S.READY)
    assert view.phone == NUMBER


async def test_a_linked_session_gives_no_code(linked: LinkedSessions) -> None:
    """It has a phone; a person unlinks that first."""
    await linked.link("ventas", linked.whatsapp.add_phone(NUMBER))
    with pytest.raises(Conflict, match="linked to the session ventas already"):
        await linked.sessions.request_pairing_code("ventas", NUMBER, "ana")
    assert linked.sessions.view("ventas").state is S.READY


async def test_the_options_of_a_session_name_no_file(linked: LinkedSessions) -> None:
    """They may come from the network; the hint says where the socket of a worker is set."""
    options = {"worker_socket": "/run/{slot}.sock"}
    with pytest.raises(BadRequest, match="worker_socket") as refused:
        await linked.sessions.create("ventas", "linked", "America/Bogota", options)
    assert "[linked]" in refused.value.hint
    assert linked.sessions.views() == []
