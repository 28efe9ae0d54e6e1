"""200 messages through a linked phone while its worker is killed, and then the whole daemon."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

PEOPLE, ROUNDS = 50, 4
WORKER_KILLED_AT, DAEMON_KILLED_AT = 60, 130
ARRIVED = ("sent", "delivered", "read")
KILLED = 2


async def test_a_burst_survives_a_killed_worker_and_a_killed_daemon(
    house: LinkedDaemon, phone: Phone
) -> None:
    """Every message is in a true state, nobody gets one twice, and none is lost."""
    people = await begin_conversations(house, phone)
    # Halted, so that all of them wait when the first one leaves.
    await house.post("halt", reason="all at once")
    for number in range(ROUNDS):
        for person in people:
            await house.send(person.phone, f"Respuesta {number} para {person.jid.user}")
    await house.post("resume", reason="all at once")
    began = time.monotonic()
    await phone.sent.wait_for(WORKER_KILLED_AT, seconds=60)
    house.kill_worker()
    await phone.sent.wait_for(DAEMON_KILLED_AT, seconds=60)
    await asyncio.to_thread(house.daemon.kill)
    left = len(phone.sent)
    await asyncio.to_thread(house.daemon.start)
    messages = await house.wait_until(lambda: find_settled(house), "every message settled")
    assert len(messages) == PEOPLE * ROUNDS
    print(f"{left} had left when the daemon was killed; {time.monotonic() - began:.0f} s in all")
    check_states(messages, people, phone)


async def begin_conversations(house: LinkedDaemon, phone: Phone) -> list[Contact]:
    """Let everybody ask something, so that answers may go at once."""
    numbers = [f"+54911555502{number:02}" for number in range(PEOPLE)]
    people = [house.whatsapp.add_contact(number) for number in numbers]
    for person in people:
        await house.add_prospect(person.phone)
        await house.whatsapp.write(person, phone, "Hola, ¿cuánto sale el envío?")
    await house.wait_for_inbound(PEOPLE)
    return people


def find_settled(house: LinkedDaemon) -> list[dict[str, Any]] | None:
    """Return all messages, once each arrived or waits for one to the same person in doubt."""
    items: list[dict[str, Any]] = house.daemon.client.get("messages", limit=200)["items"]
    doubtful = {each["contact"] for each in items if each["state"] == "in_doubt"}
    done = all(each["state"] in ARRIVED or each["contact"] in doubtful for each in items)
    return items if done else None


def check_states(messages: list[dict[str, Any]], people: list[Contact], phone: Phone) -> None:
    """Compare what the daemon says with what the contacts decrypted, message by message."""
    received = {message.text: message.wire_id for person in people for message in person.received}
    arrived = {each["text"]: each["wire_id"] for each in messages if each["state"] in ARRIVED}
    in_doubt = {each["text"] for each in messages if each["state"] == "in_doubt"}
    waiting = len(messages) - len(arrived) - len(in_doubt)
    print(f"{len(arrived)} of {len(messages)} arrived, {len(in_doubt)} in doubt, {waiting} waiting")
    assert len(messages) == PEOPLE * ROUNDS
    # None twice: each text once, and no id came to anybody a second time.
    assert sum(len(person.received) for person in people) == len(received)
    assert not [message for person in people for message in person.repeated]
    # Every state true: what arrived was decrypted under the id that is stored, and nothing else was
    # decrypted but what is in doubt.
    assert arrived.items() <= received.items()
    assert received.keys() <= arrived.keys() | in_doubt
    assert len(in_doubt) <= KILLED
    assert {each.wire_id for each in phone.sent} >= set(received.values())
