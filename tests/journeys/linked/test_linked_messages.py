"""Messages through a linked phone: number checks, sends that are decrypted, what comes back."""

from __future__ import annotations

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

BRAZILIAN, BRAZILIAN_ADDRESS = "+5511987654321", "+551187654321"
CONTACT, ABSENT, UNLISTED = "+5491155550101", "+5491155550102", "+5491155550103"


async def test_a_number_check_answers_yes_no_or_unknown(house: LinkedDaemon) -> None:
    """Unknown never becomes no: where WhatsApp says nothing of a number, and where it refuses."""
    house.whatsapp.add_contact(CONTACT)
    house.whatsapp.add_contact(UNLISTED)
    house.whatsapp.faults.unlisted.add(UNLISTED)
    numbers = (CONTACT, ABSENT, UNLISTED)
    yes, no, unknown = [await house.add_prospect(each, validate=False) for each in numbers]
    for prospect in (yes, no, unknown):
        await house.post("prospects", prospect, "check")
    found = await house.wait_for_prospect(yes, on_whatsapp="yes", validation="validated")
    assert found["whatsapp_id"] == f"{CONTACT[1:]}@s.whatsapp.net"
    await house.wait_for_prospect(no, on_whatsapp="no", validation="not_reachable")
    await house.wait_for_prospect(unknown, validation="unchecked", check_attempts=1)
    house.whatsapp.faults.check_refused = 429
    await house.post("prospects", unknown, "check")
    found = await house.wait_for_prospect(unknown, validation="unchecked", check_attempts=2)
    assert found["on_whatsapp"] not in {"yes", "no"}


async def test_a_number_is_written_to_as_whatsapp_spells_it(house: LinkedDaemon) -> None:
    """Brazil's ninth digit: the check tells the address, and the next worker sends there too."""
    bia = house.whatsapp.add_contact(BRAZILIAN, "Bia", BRAZILIAN_ADDRESS)
    prospect = await house.add_prospect(BRAZILIAN, validate=False)
    await house.post("prospects", prospect, "check")
    found = await house.wait_for_prospect(prospect, validation="validated")
    assert found["whatsapp_id"] == f"{BRAZILIAN_ADDRESS[1:]}@s.whatsapp.net"
    house.kill_worker()
    await house.wait_for_message(await house.send(BRAZILIAN, "Oi, Bia"), "read")
    assert [each.text for each in bia.received] == ["Oi, Bia"]


async def test_what_the_gate_approved_is_what_the_contact_decrypts(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """The first message brings keys, later ones do not; each is acknowledged, delivered, read."""
    ana.reads = False
    first = "Hola, Ana:\n\tsomos «Ferretería Sur» 👋\u200d  "
    message = await house.wait_for_message(await house.send(CONTACT, first), "delivered")
    [received] = ana.received
    assert (received.text, received.wire_id) == (first, message["wire_id"])
    assert received.text == message["text"]
    await house.whatsapp.send_receipt(phone, ana.lid, received.wire_id, "read")
    await house.wait_for_message(message["id"], "read")
    history = (await house.get("messages", message["id"]))["history"]
    states = [each["state"] for each in history]
    assert states == ["queued", "cleared", "sending", "sent", "delivered", "read"]

    ana.reads = True
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(1)
    texts = ["Sale 1.200 pesos.", "A Rosario, 1.900."]
    for text in texts:
        await house.wait_for_message(await house.send(CONTACT, text), "read")
    assert [each.text for each in ana.received] == [first, *texts]
    assert [each.kind for each in ana.received] == ["pkmsg", "msg", "msg"]
    assert [each.text for each in phone.sent] == [first, *texts]  # the phone shows what was sent
    assert not ana.repeated
