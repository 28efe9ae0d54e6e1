"""A virtual WhatsApp for each test, with an account and a contact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.virtual_whatsapp.contact import Contact
from tests.virtual_whatsapp.phone import Phone
from tests.virtual_whatsapp.server import VirtualWhatsApp

NUMBER, CONTACT = "+5491155550001", "+5491155550101"


@pytest.fixture
async def whatsapp(tmp_path: Path) -> AsyncIterator[VirtualWhatsApp]:
    """Return a WhatsApp that listens."""
    async with VirtualWhatsApp(tmp_path) as running:
        yield running


@pytest.fixture
def phone(whatsapp: VirtualWhatsApp) -> Phone:
    """Return an account with its phone."""
    return whatsapp.add_phone(NUMBER)


@pytest.fixture
def ana(whatsapp: VirtualWhatsApp) -> Contact:
    """Return a contact who is on WhatsApp."""
    return whatsapp.add_contact(CONTACT, "Ana")
