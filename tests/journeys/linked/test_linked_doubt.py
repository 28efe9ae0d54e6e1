"""Sends through a linked phone that go wrong: no answer, a cut, a refusal, a worker that hangs."""

from __future__ import annotations

import os
import signal

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.faults import TIMELOCK
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

CONTACT, OTHER = "+5491155550101", "+5491155550102"


@pytest.mark.parametrize("fault", ["no answer", "a cut connection", "a killed worker"])
async def test_a_first_message_in_doubt_is_settled_by_the_receipt_of_a_hidden_id(
    house: LinkedDaemon, phone: Phone, ana: Contact, fault: str
) -> None:
    """Nobody here had seen the id, nor who hides behind it: the library's own store says so."""
    house.whatsapp.faults.unreceipted.add(CONTACT)
    if fault == "a cut connection":
        house.whatsapp.faults.cut_on_message = 1
    else:
        house.whatsapp.faults.unacknowledged.add(CONTACT)
    message = await house.send(CONTACT, "Hola, Ana")
    [received] = await ana.received.wait_for(1)
    if fault == "a killed worker":
        house.kill_worker()
    # After a cut the library may repeat the frame by itself, and get the acknowledgement after all.
    states = ("in_doubt", "sent") if fault == "a cut connection" else ("in_doubt",)
    doubtful = await house.wait_for_message(message, *states)
    assert (doubtful["wire_id"] is None) == (doubtful["state"] == "in_doubt")
    await house.wait_for_state("ventas", "ready")
    await house.whatsapp.send_receipt(phone, ana.lid, received.wire_id)
    settled = await house.wait_for_message(message, "delivered")
    assert settled["wire_id"] == received.wire_id
    # After a cut the library itself may repeat the frame: with the same id, which no app shows.
    assert len(ana.received) == 1
    assert {each.wire_id for each in ana.repeated} <= {received.wire_id}


async def test_a_restriction_closes_new_chats_until_a_person_opens_them(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """Error 463 fails the message for good; replies go on, and new chats wait for the end."""
    beto = house.whatsapp.add_contact(OTHER, "Beto")
    await house.add_prospect(OTHER)
    house.whatsapp.faults.refused[CONTACT] = TIMELOCK
    refused = await house.wait_for_message(await house.send(CONTACT, "Hola, Ana"), "failed")
    assert refused["reason_code"] == "463"
    found = await house.get("sessions", "ventas")
    assert (found["state"], found["sending"]) == ("ready", "reply_only")
    assert (found["reason_code"], found["user_action"]) == ("reach_out_timelock", "acknowledge")
    house.whatsapp.faults.refused.clear()
    first = await house.wait_for_message(await house.send(OTHER, "Hola, Beto"), "deferred")
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(1)
    await house.wait_for_message(await house.send(CONTACT, "Sale 1.200 pesos."), "read")
    assert [each.text for each in ana.received] == ["Sale 1.200 pesos."]
    assert not beto.received
    await house.post("sessions", "ventas", "acknowledge")
    reason = "it has answered people for a week"
    await house.post("numbers", "resume", phone=phone.number, reason=reason)
    await house.wait_for_message(first["id"], "read")


async def test_a_message_that_they_could_not_decrypt_is_the_same_message_once_more(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """They installed the app anew: the library encrypts it again, under its id; nobody gets two."""
    await house.wait_for_message(await house.send(CONTACT, "Hola, Ana"), "read")
    await house.whatsapp.write(ana, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(1)
    ana.reinstall()
    message = await house.wait_for_message(await house.send(CONTACT, "Sale 1.200."), "read")
    assert ana.retries == {message["wire_id"]: 1}
    device = ana.link_device()
    await house.whatsapp.announce_device(phone, ana, device)
    # A device that asks again for what it had: what comes is the same message, and no other.
    await house.whatsapp.ask_again(phone, ana, message["wire_id"])
    [again] = await ana.repeated.wait_for(1)
    assert again.wire_id == message["wire_id"]
    last = await house.wait_for_message(await house.send(CONTACT, "¿Lo querés?"), "read")
    [copy] = ana.copies
    assert (copy.wire_id, copy.text, copy.device) == (last["wire_id"], "¿Lo querés?", device)
    texts = [each.text for each in ana.received]
    assert texts == ["Hola, Ana", "Sale 1.200.", "¿Lo querés?"]


async def test_a_worker_that_hung_and_was_replaced_answers_nobody(
    house: LinkedDaemon, phone: Phone, ana: Contact
) -> None:
    """It stops in the middle of a send; what it would say later is nobody's answer."""
    await house.post("sessions", "ventas", "stop")
    await house.post("sessions", "ventas", "logout")
    await house.link("colgada", phone, heartbeat_timeout=3)
    house.whatsapp.faults.acknowledged_late[CONTACT] = 1.5
    message = await house.send(CONTACT, "Hola, Ana", session="colgada")
    await ana.received.wait_for(1)
    [hung] = house.list_workers()
    os.kill(hung, signal.SIGSTOP)
    await house.wait_for_message(message, "in_doubt")
    await house.wait_for_state("colgada", "backoff", "starting", "connecting", "syncing")
    settled = await house.wait_for_message(message, "read")
    assert settled["wire_id"] == ana.received[0].wire_id
    history = (await house.get("messages", message))["history"]
    reasons = [each["reason_code"] for each in history if each["state"] == "sent"]
    assert reasons == ["settled_by_receipt"]
    assert hung not in house.list_workers()
    assert len(ana.received) == 1
