"""Sends over the real library that it repeats by itself: the same message, under the same id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.api.signals import InboundMessage, Receipt
from daemon.api.transport import Acknowledged, Unknown
from statemachines.session import ConnectionState
from tests.virtual_whatsapp.linked_sessions import LinkedSessions, open_linked_sessions
from tests.virtual_whatsapp.preload.sitecustomize import SLOW_END_VARIABLE
from tests.virtual_whatsapp.server import VirtualWhatsApp

pytestmark = pytest.mark.slow

NUMBER, CONTACT = "+5491155550001", "+5491155550101"


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[LinkedSessions]:
    """Return sessions of nobody yet, and a WhatsApp."""
    async with (
        VirtualWhatsApp(tmp_path) as whatsapp,
        open_linked_sessions(tmp_path / "state", whatsapp) as opened,
    ):
        yield opened


async def test_a_worker_that_is_slow_to_end_repeats_the_message_that_was_cut_off(
    linked: LinkedSessions,
) -> None:
    """The library logs in again by itself and sends the same frame: one message, one id."""
    whatsapp = linked.whatsapp
    whatsapp.environment = {**whatsapp.environment, SLOW_END_VARIABLE: "1"}
    ana = whatsapp.add_contact(CONTACT)
    await linked.link("ventas", whatsapp.add_phone(NUMBER))
    whatsapp.faults.cut_on_message = 1
    cut = await linked.send("ventas", CONTACT, "Hola", new_chat=True)
    assert isinstance(cut, Unknown)
    [repeated] = await ana.repeated.wait_for(1)
    [received] = ana.received
    assert repeated.wire_id == received.wire_id
    await linked.wait_for("ventas", ConnectionState.BACKOFF)
    await linked.wait_for("ventas", ConnectionState.READY)
    receipts = await linked.wait_for_signals(Receipt, 1)
    assert {each.wire_id for each in receipts} == {received.wire_id}
    assert isinstance(await linked.send("ventas", CONTACT, "¿Y?"), Acknowledged)
    assert [each.text for each in ana.received] == ["Hola", "¿Y?"]


async def test_who_wrote_is_in_the_list_of_contacts_with_number_hidden_id_and_name(
    linked: LinkedSessions,
) -> None:
    """The library learned all three from one message."""
    ana = linked.whatsapp.add_contact(CONTACT, "Ana María")
    phone = linked.whatsapp.add_phone(NUMBER)
    await linked.link("ventas", phone)
    await linked.whatsapp.write(ana, phone, "Hola")
    await linked.wait_for_signals(InboundMessage, 1)
    for _ in range(100):  # the library stores the name beside the message, in no order
        [listed] = await linked.sessions.list_contacts("ventas")
        if listed.name:
            break
        await asyncio.sleep(0.1)
    assert listed.name == "Ana María"
    assert {each.value for each in listed.identities} == {CONTACT, f"{ana.lid.user}@lid"}
