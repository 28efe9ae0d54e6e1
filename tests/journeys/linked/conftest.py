"""A daemon with a linked phone, and somebody on WhatsApp who agreed to be written to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.linked_daemon import LinkedDaemon, run_linked_daemon
from tests.virtual_whatsapp.phone import Phone

NUMBER, CONTACT = "+5491155550001", "+5491155550101"
SETTINGS = """
[sending]
answer_seconds = 2
own_message_seconds = 1
"""
"""The library waits for 75 seconds, and so does the daemon as it is shipped."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LinkedDaemon]:
    """A daemon whose session ``ventas`` is linked, and which waits two seconds for an answer."""
    async with run_linked_daemon(tmp_path, SETTINGS) as running:
        await running.link("ventas", running.whatsapp.add_phone(NUMBER))
        yield running


@pytest.fixture
def phone(house: LinkedDaemon) -> Phone:
    """The phone of ``ventas``."""
    return house.get_phone(NUMBER)


@pytest.fixture
async def ana(house: LinkedDaemon) -> Contact:
    """Somebody who agreed, and whose number a person validated; they never wrote."""
    await house.add_prospect(CONTACT)
    return house.whatsapp.add_contact(CONTACT, "Ana")
