"""The quarantine on Today and on its page: who, in which words, why, and what follows."""

from __future__ import annotations

import pytest

from daemon.sessions.signal_check import RejectedSignal
from storage import contacts
from tests.helpers.client.console import (
    ANA_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    get_page,
    render,
)

pytestmark = pytest.mark.slow

ANA = "+5491141234567"


async def quarantine_signal(
    console: ConsoleServer, signal: str = "InboundMessage", **kept: str
) -> str:
    """Let a signal come in that can't be stored; return its id."""
    quarantine = console.services.signal_handlers.quarantine
    sentence = f"The channel simulated reported {signal}, which can't be stored."
    rejected = RejectedSignal("ventas", "simulated", signal, "text_unstorable", sentence, kept)
    await quarantine.handle_rejected("ventas", rejected)
    return (await quarantine.list_signals())[-1].id


async def test_what_could_not_be_stored_needs_a_person(console: ConsoleServer) -> None:
    """Today counts it, the page shows it, a person settles it, and the hold is over."""
    await console.add_ready_session()
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    signal = await quarantine_signal(console, sender=ANA, text="hola �")
    today = await render(console, "/")
    assert "1 incoming item could not be stored" in today
    shown = await render(console, "/quarantine")
    for words in ("Ana", "hola �", "half an emoji", "wait until somebody settles this"):
        assert words in shown
    assert ANA not in shown
    asked = (await get_page(console, f"/pieces/quarantine/{signal}/settle")).document
    assert "are checked again" in asked
    path = f"/v1/quarantine/{signal}/settle"
    assert (await console.api.post(path, reason="a greeting")).status == 200
    assert "Everything was stored" in await render(console, "/quarantine")
    contact = await console.services.database.read(
        lambda reader: contacts.find_contact_by_alias(reader, ANA)
    )
    found = await console.services.database.read(
        lambda reader: contacts.get_contact(reader, str(contact))
    )
    assert found
    assert found.review_reason is None


async def test_every_kind_of_signal_has_words(console: ConsoleServer) -> None:
    """A stranger's opt-out, a message of ours, a receipt, and what nobody knows."""
    await console.add_ready_session()
    await quarantine_signal(console, sender=ANA, text="BAJA")
    await quarantine_signal(console, "OwnMessage", recipient="120363041234567890@g.us")
    await quarantine_signal(console, "Receipt", recipient=ANA)
    await quarantine_signal(console, "CallbackJudge")
    shown = await render(console, "/quarantine", "/pieces/quarantine")
    for words in (
        "no more messages go to them",
        "A message typed on the phone",
        "A receipt",
        "A report from the channel",
        "from somebody who could not be identified",
    ):
        assert words in shown
