"""The page for sends by hand as one person sees it."""

from __future__ import annotations

import pytest

from statemachines.message import MessageState
from storage import evidence, messages
from storage.evidence import EvidenceKind
from storage.tx import Tx
from tests.helpers.client.console import ConsoleServer, get_page, queue_manual_messages

pytestmark = pytest.mark.slow


async def test_the_next_one_and_the_rest(console: ConsoleServer) -> None:
    """The longest waiting is offered first; numbers are masked, no link is there yet."""
    first, second = await queue_manual_messages(console, 2)
    shown = (await get_page(console, "/manual")).document
    assert shown.index(f"/v1/manual/{first}/take") < shown.index(f"/v1/manual/{second}/take")
    assert "wa.me" not in shown
    assert "5491141234500" not in shown


async def test_a_link_is_only_there_once_it_was_asked_for(console: ConsoleServer) -> None:
    """Taken: open or give back. Revealed: the link, and how it ended."""
    (message,) = await queue_manual_messages(console, 1)
    await console.api.post(f"/v1/manual/{message}/take")
    taken = (await get_page(console, "/manual")).document
    assert "wa.me" not in taken
    assert f"/v1/manual/{message}/return" in taken
    await console.api.post(f"/v1/manual/{message}/reveal")
    revealed = (await get_page(console, "/pieces/manual")).document
    assert 'target="_blank" rel="noopener noreferrer"' in revealed
    assert f"/v1/manual/{message}/confirm" in revealed


async def test_what_another_has_is_theirs(console: ConsoleServer) -> None:
    """It is listed with their name, and there is nothing to press."""
    (message,) = await queue_manual_messages(console, 1)
    await console.services.manual.take(message, "eva")
    shown = (await get_page(console, "/manual")).document
    assert "Taken by somebody else" in shown
    assert "by eva" in shown
    assert f"/{message}" not in shown.split("<main")[1]


async def test_a_doubt_is_asked_about(console: ConsoleServer) -> None:
    """Nobody said how it ended: the desk asks, and takes a word with its reason."""
    (message,) = await queue_manual_messages(console, 1)
    await console.api.post(f"/v1/manual/{message}/take")
    await console.api.post(f"/v1/manual/{message}/reveal")
    now = console.services.clock.now()
    await console.services.database.write(
        lambda tx: messages.transition_message(
            tx,
            message,
            MessageState.IN_DOUBT,
            at=now,
            reason_code="lease_over",
            sentence="The link was shown and nobody said whether it was sent.",
            who="clock",
        )
    )
    shown = (await get_page(console, "/manual")).document
    assert "Nobody said whether they left" in shown
    asked = (await get_page(console, f"/pieces/messages/{message}/settle")).document
    assert 'value="confirmed_by_hand"' in asked


async def test_what_was_in_hand_and_withdrawn_is_told_once(console: ConsoleServer) -> None:
    """An opt-out takes it out of the hand: do not send, in so many words."""
    (message,) = await queue_manual_messages(console, 1)
    await console.api.post(f"/v1/manual/{message}/take")
    assert message in (await get_page(console, f"/pieces/manual/{message}/not-sent")).document
    found = await console.services.database.read(
        lambda reader: messages.require_message(reader, message)
    )
    order = {"phone": found.contact, "reason": "asked on the phone"}
    await console.api.call("POST", "/v1/suppressions", json=order)
    assert "Do not send" in (await get_page(console, f"/pieces/manual?was={message}")).document
    assert "Do not send" not in (await get_page(console, "/pieces/manual")).document


async def test_an_opened_message_that_has_lost_its_permission_says_not_to_send_it(
    console: ConsoleServer,
) -> None:
    """The link was shown, then they said no in words that are no opt-out."""
    (message,) = await queue_manual_messages(console, 1)
    await console.api.post(f"/v1/manual/{message}/take")
    await console.api.post(f"/v1/manual/{message}/reveal")
    assert "Do not send" not in (await get_page(console, "/pieces/manual")).document
    now = console.services.clock.now()

    def decline(tx: Tx) -> None:
        contact = messages.require_message(tx, message).contact
        evidence.insert_evidence(
            tx, contact, EvidenceKind.DECLINED, "refused", at=now, source="their own message"
        )

    await console.services.database.write(decline)
    shown = (await get_page(console, "/pieces/manual")).document
    assert "Do not send it." in shown
    assert "no longer have permission" in shown
    assert "wa.me" not in shown
