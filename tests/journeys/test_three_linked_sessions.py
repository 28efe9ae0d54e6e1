"""Three phones at once: each writes and is answered, the daemon dies, and each ends in its own way.

`make linked-ten` runs it ten times in a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.virtual_whatsapp import faults
from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import LinkedDevice, Phone

pytestmark = pytest.mark.slow

NAMES = ("uno", "dos", "tres")
BAN_SECONDS = 3600
MOST_MEGABYTES = 150
"""Of one worker, measured 60 to 90: more is a leak, not a phone."""
ENDS = {
    "uno": ("banned_temporarily", "banned_same_message", "wait_until"),
    "dos": ("replaced", "replaced", "acknowledge"),
    "tres": ("logged_out", "logged_out", "restart_pairing"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One session: its phone and device, and the contact it talks with."""

    session: str
    phone: Phone
    device: LinkedDevice
    contact: Contact


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedDaemon]:
    """A daemon with nothing in it, whose workers are led to a WhatsApp."""
    async with run_linked_daemon(tmp_path) as running:
        yield running


async def test_three_phones_are_linked_and_each_ends_in_its_own_way(house: LinkedDaemon) -> None:
    """Nobody's trouble is another's, and what happened is still known after a restart."""
    lines = await asyncio.gather(*(open_line(house, number) for number in range(len(NAMES))))
    await asyncio.gather(*(talk(house, line, "Hola", 1) for line in lines))
    sizes = await asyncio.to_thread(house.measure_workers)
    print(f"proportional set size of each worker: {sizes} MB")
    assert len(sizes) == len(lines)
    assert max(sizes) <= MOST_MEGABYTES

    await restart(house)
    await asyncio.gather(*(house.wait_for_state(line.session, "ready") for line in lines))
    await asyncio.gather(*(talk(house, line, "Sigo acá", 2) for line in lines))
    assert all(len(line.phone.devices) == 1 for line in lines)  # none was paired again

    await ban(house, lines[0])
    await talk(house, lines[1], "¿Y ahora?", 3)
    await replace(house, lines[1])
    await talk(house, lines[2], "¿Y ahora?", 3)
    await house.whatsapp.unlink(lines[2].phone, lines[2].device)
    await check_ends(house)
    await restart(house)
    await check_ends(house)
    await house.wait_until(lambda: not house.list_workers(), "the end of every worker")


async def open_line(house: LinkedDaemon, number: int) -> Line:
    """Link a session to a phone of its own; its contact agreed to be written to."""
    phone = house.whatsapp.add_phone(f"+549115555000{number}")
    contact = house.whatsapp.add_contact(f"+549115555010{number}")
    await house.add_prospect(contact.phone)
    device = await house.link(NAMES[number], phone)
    return Line(NAMES[number], phone, device, contact)


async def talk(house: LinkedDaemon, line: Line, text: str, number: int) -> None:
    """Let a line's contact ask for the nth time, and answer: they can read it."""
    await house.whatsapp.write(line.contact, line.phone, f"¿{number}: cuánto sale el envío?")
    await house.wait_until(lambda: count_inbound(house, line) == number, "the question")
    answer = f"{text}, {line.session}: sale {number}.200 pesos."
    message = await house.send(line.contact.phone, answer, line.session)
    shown = await house.wait_for_message(message, "read")
    received = (await line.contact.received.wait_for(number))[-1]
    assert (received.text, received.wire_id) == (answer, shown["wire_id"])


def count_inbound(house: LinkedDaemon, line: Line) -> int:
    """Return how much of a line's contact was stored."""
    items = house.daemon.client.get("inbound", limit=200)["items"]
    return sum(each["session"] == line.session for each in items)


async def restart(house: LinkedDaemon) -> None:
    """Kill the daemon as a power cut would, and start it again."""
    await asyncio.to_thread(house.daemon.kill)
    await asyncio.to_thread(house.daemon.start)


async def ban(house: LinkedDaemon, line: Line) -> None:
    """Ban a line's number for an hour: the next login is refused, and this one breaks off."""
    house.whatsapp.faults.login_failures[line.phone.number] = faults.build_ban(104, BAN_SECONDS)
    for connection in house.whatsapp.find_connections(line.device.jid):
        connection.cut()
    await house.wait_for_state(line.session, ENDS[line.session][0])


async def replace(house: LinkedDaemon, line: Line) -> None:
    """Let another client take a line's place."""
    for connection in house.whatsapp.find_connections(line.device.jid):
        await connection.send(faults.build_replaced())
    await house.wait_for_state(line.session, ENDS[line.session][0])


async def check_ends(house: LinkedDaemon) -> None:
    """Check that each session is in its state, with its reason, and what a person can do."""
    for session, (state, reason, action) in ENDS.items():
        view = await house.wait_for_state(session, state)
        assert (view["reason_code"], view["user_action"]) == (reason, action)
