"""The phone's own echo of an approved text confirms it; another text is an own message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import OwnMessage, Receipt, ReceiptKind
from daemon.api.text import hash_folded_text
from statemachines.message import MessageState
from tests.helpers.services.messaging import (
    ANA,
    ANA_OLD_FORM,
    MessagingServices,
    open_messaging_services,
)

S = MessageState
TEXT = "Hola, soy Eva 👋"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A number with a linked session, and one by hand."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        await opened.add_session("hand", channel="manual")
        await opened.add_session("other", number="+5491144449999")
        opened.outbox.serve_session("main")
        yield opened


async def reveal(services: MessagingServices, session: str = "main") -> str:
    """Take the first message to somebody and open its link."""
    await services.add_prospect(ANA, permission="public_source")
    message = await services.enqueue_and_settle(ANA, TEXT, session=session)
    await services.manual.take(message, "eva")
    await services.manual.reveal(message, "eva")
    await services.clock.advance(60)
    return message


async def hear(
    services: MessagingServices,
    text: str | None = TEXT,
    *,
    session: str = "main",
    wire_id: str = "OWN1",
    age: timedelta = timedelta(0),
) -> None:
    """Let a session report what left from its phone to Ana."""
    at = services.clock.now() - age
    text_hash = None if text is None else hash_folded_text(text)
    signal = OwnMessage(wire_id, parse_identity(ANA_OLD_FORM), at, text_hash)
    await services.signal_handlers.own_messages.handle_own_message(session, signal)


async def list_spends(services: MessagingServices) -> list[str]:
    """Return the kinds of spends in the ledger."""
    return sorted(str(kind) for (kind,) in await services.query_rows("SELECT kind FROM spends"))


@pytest.mark.parametrize("session", ["main", "hand"])
async def test_the_echo_of_a_revealed_text_confirms_it(
    services: MessagingServices, session: str
) -> None:
    """Whichever session of that number it was for; told again it is the same, and one spend."""
    message = await reveal(services, session)
    for _ in range(3):
        await hear(services, f"  {TEXT.upper()}\n")
    found = await services.get_message(message)
    assert (found.state, found.wire_id) == (S.CONFIRMED_BY_HAND, "OWN1")
    assert await list_spends(services) == ["manual_new_chat", "message"]
    assert await services.query_rows("SELECT id FROM inbound") == []


async def test_a_confirmed_message_takes_its_receipts(services: MessagingServices) -> None:
    """Those that came before the echo too; they settle nothing else, and it stays as it is."""
    message = await reveal(services, "hand")
    for kind in (ReceiptKind.DELIVERED, ReceiptKind.READ):
        receipt = Receipt("OWN1", parse_identity(ANA), kind, services.clock.now())
        await services.signal_handlers.receipts.handle_receipt("main", receipt)
        await hear(services)
    taken = await services.query_rows("SELECT DISTINCT message FROM receipts")
    assert taken == [(message,)]
    assert await services.get_state(message) is S.CONFIRMED_BY_HAND


async def test_another_text_is_an_own_message_and_asks_its_taker(
    services: MessagingServices,
) -> None:
    """One contact, one new chat, whatever the taker says of the revealed one later."""
    message = await reveal(services)
    await hear(services, "Hola, ¿cómo va?")
    assert await services.get_state(message) is S.REVEALED
    assert await list_spends(services) == ["message", "message", "new_chat"]
    await services.manual.cancel(message, "eva", "I wrote something else")
    assert await list_spends(services) == ["message", "new_chat"]


@pytest.mark.parametrize(
    ("text", "session", "age"),
    [
        (None, "main", timedelta(0)),
        (TEXT, "other", timedelta(0)),
        (TEXT, "main", timedelta(hours=1)),
    ],
)
async def test_what_is_no_echo_confirms_nothing(
    services: MessagingServices, text: str | None, session: str, age: timedelta
) -> None:
    """No text, another number's phone, or the same words from before the link was opened."""
    message = await reveal(services)
    await hear(services, text, session=session, age=age)
    assert await services.get_state(message) is S.REVEALED
    assert await services.query_rows("SELECT own FROM inbound") == [(1,)]


async def test_an_echo_that_comes_after_the_lease_settles_the_doubt(
    services: MessagingServices,
) -> None:
    """The phone had been without a network; it was written while the link was open."""
    message = await reveal(services)
    await services.clock.advance(11 * 60)
    assert await services.get_state(message) is S.IN_DOUBT
    await hear(services, age=timedelta(minutes=11))
    assert await services.get_state(message) is S.CONFIRMED_BY_HAND
