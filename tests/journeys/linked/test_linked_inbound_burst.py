"""What contacts write while the daemon is killed: each message is stored once, whatever dies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.virtual_whatsapp.linked_daemon import LinkedDaemon
from tests.virtual_whatsapp.phone import Phone

pytestmark = pytest.mark.slow

CONTACT = "+5491155550101"
MESSAGES = 150


async def test_what_is_written_while_the_daemon_is_killed_is_stored_once(
    house: LinkedDaemon, phone: Phone
) -> None:
    """The library tells WhatsApp at once that it has a message, and nobody sends it again."""
    ana = house.whatsapp.add_contact(CONTACT, "Ana")
    await house.add_prospect(CONTACT)
    writing = asyncio.create_task(write_all(house, phone, ana))
    await house.wait_for_inbound(5)
    await asyncio.to_thread(house.daemon.kill)
    await writing
    await asyncio.to_thread(house.daemon.start)
    stored = await house.wait_for_inbound(MESSAGES)
    assert sorted(each["text"] for each in stored) == sorted(
        f"pregunta {number}" for number in range(MESSAGES)
    )


async def write_all(house: LinkedDaemon, phone: Phone, ana: Any) -> None:  # noqa: ANN401
    """Let a contact write many messages in a row."""
    for number in range(MESSAGES):
        await house.whatsapp.write(ana, phone, f"pregunta {number}")
