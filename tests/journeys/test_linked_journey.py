"""A phone is linked: a real daemon, the real library, and a WhatsApp that decrypts what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedDaemon]:
    """A daemon with nothing in it, whose workers are led to a WhatsApp."""
    async with run_linked_daemon(tmp_path) as running:
        yield running


@pytest.fixture
def phone(house: LinkedDaemon) -> Phone:
    """The phone that is linked."""
    return house.whatsapp.add_phone(NUMBER)


@pytest.fixture
def ana(house: LinkedDaemon) -> Contact:
    """Somebody on WhatsApp."""
    return house.whatsapp.add_contact(CONTACT, "Ana")


async def test_a_linked_phone_answers_and_survives_a_power_cut(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """She asks, she is answered, she reads it; then the power fails, and she asks again."""
    await house.add_prospect(ana.phone)
    await house.link("ventas", phone)
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her question")
    text = "¡Hola, Ana! El envío a tu casa sale 1.200 pesos."
    message = await house.wait_for_message(await house.send(CONTACT, text), "read")
    [received] = await ana.received.wait_for(1)
    assert (received.text, received.wire_id) == (text, message["wire_id"])

    await asyncio.to_thread(house.daemon.kill)
    await house.whatsapp.write(ana, phone, "¿Y a Rosario?")
    await asyncio.to_thread(house.daemon.start)
    await house.wait_for_state("ventas", "ready")
    await house.wait_until(
        lambda: len(house.daemon.client.get("inbound")["items"]) == 2, "her second question"
    )
    assert len(house.whatsapp.logins) == 2

    await house.run("sessions", "logout", "ventas")
    assert phone.devices == {}


async def test_an_opt_out_survives_a_daemon_that_is_killed_before_it_stored_it(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """The library acknowledged it, so that WhatsApp does not send it again."""
    await house.add_prospect(ana.phone)
    device = await house.link("ventas", phone)
    await house.whatsapp.write(ana, phone, "Hola")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her first words")
    await house.wait_until(lambda: not house.read_spool("ventas"), "they are stored")

    house.freeze()
    await house.whatsapp.write(ana, phone, "BAJA")
    await house.wait_until(lambda: "BAJA" in house.read_spool("ventas"), "the worker has it")
    await house.wait_until(lambda: not device.undelivered, "WhatsApp knows that it arrived")
    await asyncio.to_thread(house.daemon.kill)
    await asyncio.to_thread(house.daemon.start)

    await house.wait_until(
        lambda: house.daemon.client.get("suppressions", "check", phone=CONTACT)["suppressed"],
        "she is suppressed",
    )
    await house.wait_until(lambda: not house.read_spool("ventas"), "the spool is empty again")
    words = [each["text"] for each in (await house.get("inbound"))["items"]]
    assert sorted(words) == ["BAJA", "Hola"]


async def test_a_message_whose_connection_was_cut_is_settled_by_its_receipt(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """It reached her, and nobody said so: it is in doubt, never sent again, and then delivered."""
    await house.add_prospect(ana.phone)
    await house.link("ventas", phone)
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale?")
    await house.wait_until(lambda: house.daemon.client.get("inbound")["items"], "her question")
    house.whatsapp.faults.cut_on_message = 1
    # After a cut the library may repeat the frame by itself: that one is not acknowledged either.
    house.whatsapp.faults.unacknowledged.add(CONTACT)
    house.whatsapp.faults.unreceipted.add(CONTACT)
    sent = await house.send(CONTACT, "Sale 1.200 pesos.")
    await house.wait_for_message(sent, "in_doubt")
    await house.wait_for_state("ventas", "ready")
    [received] = ana.received
    await house.whatsapp.send_receipt(phone, ana.lid, received.wire_id)
    await house.wait_for_message(sent, "delivered")
    assert len(ana.received) == 1
    assert {each.wire_id for each in ana.repeated} <= {received.wire_id}
