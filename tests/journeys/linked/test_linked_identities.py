"""Who writes through a linked phone: hidden ids, numbers learned later, the phone's own owner."""

from __future__ import annotations

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.other_traffic import PastChat, PastMessage
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.protobufs import Message

pytestmark = pytest.mark.slow

CONTACT = "+5491155550101"
NEXT_WEEK = "2126-01-01T12:00:00Z"


async def test_a_stop_from_a_hidden_id_suppresses_the_number(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """What they write under it is the prospect's, and so is their opt-out."""
    greeting = await house.wait_for_message(await house.send(CONTACT, "Hola, Ana"), "read")
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    [question] = await house.wait_for_inbound(1)
    assert question["contact"] == greeting["contact"]
    await house.whatsapp.write(ana, phone, "STOP")
    await house.wait_for_suppression(CONTACT)
    refused = await house.send(CONTACT, "Sale 1.200 pesos.")
    assert (await house.wait_for_message(refused, "blocked"))["reason_code"] == "suppressed"
    assert len(ana.received) == 1


@pytest.mark.parametrize("learned_by", ["a message", "a number check", "the phone's past"])
async def test_an_opt_out_without_a_number_holds_once_the_number_is_known(
    house: LinkedDaemon, phone: Phone, learned_by: str
) -> None:
    """Whoever hides the number opts out for good: the number is suppressed where it is learned."""
    beto = house.whatsapp.add_contact(CONTACT, "Beto")
    await house.whatsapp.write(beto, phone, "STOP", with_number=False)
    await house.wait_for_inbound(1)
    check = learned_by == "a number check"
    prospect = await house.add_prospect(CONTACT, validate=not check)
    assert not await house.is_suppressed(CONTACT)  # nobody can know yet
    if check:
        await house.post("prospects", prospect, "check")
    elif learned_by == "the phone's past":
        # Of what was written there is nothing, but that both names are one person's.
        await house.whatsapp.replay_history(phone, PastChat(beto, []))
    else:
        await house.whatsapp.write(beto, phone, "hola")
    await house.wait_for_suppression(CONTACT)
    refused = await house.wait_for_message(await house.send(CONTACT, "Hola"), "blocked")
    assert refused["reason_code"] == "suppressed"
    assert not beto.received


@pytest.mark.parametrize("to_lid", [False, True], ids=["to the number", "to the hidden id"])
async def test_what_the_owner_types_counts_and_ends_our_commercial_messages(
    house: LinkedDaemon, phone: Phone, ana: Contact, *, to_lid: bool
) -> None:
    """A person is in the conversation: contact was made, and the next message is no first one."""
    later = await house.post(
        "messages", to=CONTACT, text="Oferta", session="ventas", not_before=NEXT_WEEK
    )
    await house.whatsapp.type_on_phone(phone, ana, "Hola, Ana, te llamo mañana", to_lid=to_lid)
    cancelled = await house.wait_for_message(later["id"], "cancelled")
    assert cancelled["reason_code"] == "own_message"
    message = await house.get("messages", await house.send(CONTACT, "Oferta"))
    facts = message["decisions"][-1]["facts"]
    assert (facts["message.first_contact"], facts["history.commercial_24h"]) == (False, 0)


@pytest.mark.parametrize("linked_text", [False, True], ids=["plain", "with a preview of a link"])
async def test_the_phone_confirms_a_message_that_was_sent_by_hand(
    house: LinkedDaemon, phone: Phone, ana: Contact, *, linked_text: bool
) -> None:
    """The same text leaves the linked phone after its link was opened; receipts are its own."""
    options = {"phone": phone.number}
    await house.post("sessions", name="mano", channel="manual", options=options)
    await house.post("sessions", "mano", "start")
    text = "Hola, Ana: https://example.com"
    message = await house.send(CONTACT, text, session="mano")
    await house.wait_for_message(message, "cleared")
    await house.post("manual", message, "take")
    await house.post("manual", message, "reveal")
    await house.whatsapp.type_on_phone(phone, ana, "Hola, Ana, ¿cómo estás?")  # is another one
    content = Message(conversation=text)
    if linked_text:
        content = Message()
        content.extendedTextMessage.text = text
    wire_id = await house.whatsapp.type_on_phone(phone, ana, content)
    confirmed = await house.wait_for_message(message, "confirmed_by_hand")
    assert (confirmed["wire_id"], confirmed["reason_code"]) == (wire_id, "seen_on_phone")
    assert not ana.received


async def test_the_name_and_the_hidden_id_of_a_prospect_are_kept_and_no_strangers(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """A name once, and again when it is another; of a stranger's, neither, whoever tells it."""
    stranger = house.whatsapp.add_contact("+5491155550199", "Zoraida Ficticia")
    await house.whatsapp.replay_history(
        phone, PastChat(stranger, [PastMessage("Hola", 90_000.0, own=True)])
    )
    await house.whatsapp.write(stranger, phone, "¿Está Zoraida?")
    for number, name in enumerate(("Ana", "Ana", "Anita 🌸"), 2):
        ana.name = name
        await house.whatsapp.write(ana, phone, "hola")
        await house.wait_for_inbound(number)
    detail = await house.get("prospects", CONTACT)
    names = [each["quote"] for each in detail["evidence"] if each["kind"] == "push_name"]
    assert names == ["Anita 🌸", "Ana"]
    assert detail["prospect"]["name"] == ""  # what an operator entered is not theirs to change
    stored = (house.daemon.state_dir / "leadmaster.db").read_bytes()
    stored += (house.daemon.state_dir / "leadmaster.db-wal").read_bytes()
    assert b"Anita" in stored
    assert b"Ficticia" not in stored
