"""Several linked devices: one phone linked twice, two phones, and one contact whom all write to."""

from __future__ import annotations

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

CONTACT, OTHER_NUMBER = "+5491155550101", "+5491155550002"
LATER = "2126-01-01T12:00:00Z"


async def test_sessions_that_write_to_one_contact_do_not_take_each_other_for_the_phone(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """Each device of a number is shown what the others send, here before the acknowledgement."""
    await house.link("segunda", phone)
    await house.link("norte", house.whatsapp.add_phone(OTHER_NUMBER))
    for each in house.whatsapp.list_phones():
        await house.whatsapp.write(ana, each, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(3)
    house.whatsapp.faults.acknowledged_late[CONTACT] = 0.5
    texts = {"ventas": "Sale 1.200 pesos.", "segunda": "A Rosario, 1.900.", "norte": "Norte: 900."}
    sent = [await house.send(CONTACT, text, session=name) for name, text in texts.items()]
    for message in sent:
        await house.wait_for_message(message, "read")
    assert sorted(each.text for each in ana.received) == sorted(texts.values())
    await house.whatsapp.copies.wait_for(2)
    # What the phone types is reported by both of its devices, and counts once.
    await house.whatsapp.type_on_phone(phone, ana, "Te llamo mañana")
    kinds = await house.wait_until(lambda: find_own_messages(house), "what was typed")
    assert len(kinds) == 1


def find_own_messages(house: LinkedDaemon) -> list[str]:
    """Return the evidence of messages that somebody typed on a phone."""
    found = house.daemon.client.get("prospects", CONTACT)["evidence"]
    return [each["kind"] for each in found if each["kind"] == "own_message"]
