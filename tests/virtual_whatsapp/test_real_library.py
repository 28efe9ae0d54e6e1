"""The unmodified library pairs with the virtual WhatsApp, sends, receives, and is refused by it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.binary_node import Node
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.library_client import LibraryProcess
from tests.virtual_whatsapp.link_code import WrongLinkCode
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

ABSENT = "+5491155550999"


@pytest.fixture
async def library(whatsapp: VirtualWhatsApp, tmp_path: Path) -> AsyncIterator[LibraryProcess]:
    """Return a process of the library that has no login yet."""
    process = LibraryProcess(tmp_path / "session.db", whatsapp.environment)
    await process.start()
    yield process
    await process.kill()


async def link(library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone) -> LinkedDevice:
    """Scan the first code, and wait until the library is connected."""
    device = await whatsapp.scan(phone, await library.wait_for("code"))
    await library.wait_for("Connected")
    return device


async def test_messages_go_both_ways_and_their_receipts_come_back(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """The first message brings keys, the next ones do not; then the library logs out."""
    device = await link(library, whatsapp, phone)
    await library.order("send", ana.jid.user, "Hola, Ana")
    wire_id = await library.wait_for("sent")
    delivered, read = [await library.wait_for("Receipt") for _ in range(2)]
    assert wire_id in delivered
    assert "DELIVERED" in delivered
    assert wire_id in read
    assert "READ" in read

    await whatsapp.write(ana, phone, "quien es?")
    assert "quien es?" in await library.wait_for("Message")
    await library.order("send", ana.jid.user, "Soy yo")
    await library.wait_for("sent")
    received = await ana.received.wait_for(2)
    assert [(each.text, each.kind) for each in received] == [
        ("Hola, Ana", "pkmsg"),
        ("Soy yo", "msg"),
    ]
    assert received[0].wire_id == wire_id
    await library.order("logout")
    await library.wait_for("logged_out")
    assert not phone.devices
    assert not whatsapp.find_connections(device.jid)


async def test_a_device_is_linked_by_the_code_that_is_typed_on_the_phone(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """A wrong code links nothing; the right one is taken afterwards, and messages are read."""
    await library.wait_for("code")
    await library.order("pair", phone.number)
    code = await library.wait_for("link_code")
    assert re.fullmatch("[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}", code)
    [request] = whatsapp.link_codes
    assert request.number == phone.number.removeprefix("+")
    with pytest.raises(WrongLinkCode):
        await whatsapp.enter_code(phone, "AAAA-AAAA")
    assert not phone.devices
    await whatsapp.enter_code(phone, code)
    await library.wait_for("Connected")
    await library.order("send", ana.jid.user, "Hola, Ana")
    [received] = await ana.received.wait_for(1)
    assert received.text == "Hola, Ana"


async def test_a_code_is_refused_by_whatsapp(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone
) -> None:
    """As to a number that asked too often: the library raises what the server said."""
    await library.wait_for("code")
    whatsapp.faults.link_code_refused = 429
    await library.order("pair", phone.number)
    assert "429" in await library.wait_for("error")


async def test_a_number_check_says_who_is_here(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """Both answers come in one question."""
    await link(library, whatsapp, phone)
    await library.order("check", ana.phone, ABSENT)
    assert json.loads(await library.wait_for("checked")) == {ana.phone: True, ABSENT: False}


async def test_a_refused_message_does_not_arrive_and_its_code_is_told(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """The library raises what the server said."""
    await link(library, whatsapp, phone)
    whatsapp.faults.refused[ana.phone] = faults.TIMELOCK
    await library.order("send", ana.jid.user, "Hola")
    assert "463" in await library.wait_for("error")
    assert not ana.received


async def test_a_killed_process_resumes_without_a_code_and_gets_what_waited(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """The login is in its database, and its keys are."""
    await link(library, whatsapp, phone)
    await library.kill()
    await whatsapp.write(ana, phone, "hola")
    await library.start()
    assert "hola" in await library.wait_for("Message")
    assert len(whatsapp.logins) == 2


@pytest.mark.parametrize(
    ("failure", "event", "text"),
    [
        (faults.build_login_failure(401), "LoggedOut", "Reason: LOGGED_OUT"),
        (faults.build_ban(101, 3600), "TemporaryBan", "Expire: 3600"),
        (faults.build_login_failure(405), "ClientOutdated", ""),
    ],
)
async def test_a_login_is_refused(
    library: LibraryProcess,
    whatsapp: VirtualWhatsApp,
    phone: Phone,
    failure: Node,
    event: str,
    text: str,
) -> None:
    """The library says why, in an event of its own, and does not come back."""
    await link(library, whatsapp, phone)
    await library.kill()
    whatsapp.faults.login_failure = failure
    await library.start()
    assert text in await library.wait_for(event)
    assert len(whatsapp.logins) == 1


async def test_a_client_is_replaced_by_another(
    library: LibraryProcess, whatsapp: VirtualWhatsApp, phone: Phone
) -> None:
    """The stream ends with a conflict."""
    await link(library, whatsapp, phone)
    await whatsapp.broadcast(faults.build_replaced())
    assert await library.wait_for("StreamReplaced") == ""
    assert len(whatsapp.logins) == 1  # it does not fight for its place
