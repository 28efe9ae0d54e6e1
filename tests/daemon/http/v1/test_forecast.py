"""When will it go: the same words from `/v1`, on the page and in both languages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from daemon.http.console.language import load_language
from daemon.outbox.forecast import WAIT_SENTENCES
from statemachines.message import MessageState
from tests.helpers.client.console import (
    ACKNOWLEDGED_STATES,
    ConsoleServer,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import build_settings
from tests.helpers.services.messaging import UNLIMITED_PACING

pytestmark = pytest.mark.slow

PEOPLE = "Nombre;Teléfono;Origen;Consentimiento\nAna;+5491141234567;feria;sí\n"
SECOND = "Beto;+5491141234568;feria;sí\n"


@pytest.fixture
async def unhurried(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a house whose numbers begin one new chat an hour."""
    pacing = msgspec.structs.replace(UNLIMITED_PACING, new_chat_gap_minutes=60)
    settings = msgspec.structs.replace(build_settings(short_folder), pacing=pacing)
    async with open_console(settings) as made:
        await made.add_ready_session()
        await made.import_list((PEOPLE + SECOND).encode(), statement="ticked the box")
        yield made


async def asked(console: ConsoleServer, phone: str, **order: object) -> str:
    """Ask for a message; return its id."""
    reply = await console.api.call(
        "POST", "/v1/messages", json={"to": phone, "text": "Hola"} | order
    )
    identity: str = reply.document["id"]
    return identity


async def test_a_cleared_message_that_waits_for_its_turn_says_so(unhurried: ConsoleServer) -> None:
    """`/v1` and the page tell the same sentence and moment; what has left waits for nothing."""
    first = await asked(unhurried, "+5491141234567")
    await wait_for_message_state(unhurried, first, ACKNOWLEDGED_STATES)
    second = await asked(unhurried, "+5491141234568")
    await wait_for_message_state(unhurried, second, {MessageState.HELD})
    await unhurried.services.review.approve(second, "eva", "they expect it")
    await wait_for_message_state(unhurried, second, {MessageState.CLEARED})
    told = (await unhurried.api.get(f"/v1/messages/{second}")).document["forecast"]
    assert told["code"] == "new_chat_gap"
    assert datetime.fromisoformat(told["at"]) > unhurried.services.clock.now()
    shown = (await unhurried.api.get(f"/messages/{second}")).document
    assert f'data-forecast="{told["code"]}"' in shown
    assert told["sentence"] in shown
    assert (await unhurried.api.get(f"/v1/messages/{first}")).document["forecast"] is None


async def test_a_halt_goes_before_every_budget(unhurried: ConsoleServer) -> None:
    """Whoever asks while all is stopped is told of the stop, and of no hour."""
    message = await asked(unhurried, "+5491141234567", not_before="2026-03-03T18:00:00Z")
    await wait_for_message_state(unhurried, message, {MessageState.CLEARED})
    before = (await unhurried.api.get(f"/v1/messages/{message}")).document["forecast"]
    await unhurried.api.post("/v1/halt", reason="a drill")
    after = (await unhurried.api.get(f"/v1/messages/{message}")).document["forecast"]
    assert [(each["code"], each["at"] is None) for each in (before, after)] == [
        ("due", False),
        ("halt", True),
    ]


async def test_by_hand_it_waits_for_its_time_and_its_budget_too(unhurried: ConsoleServer) -> None:
    """Nobody is told to take what could not be taken."""
    message = await asked(unhurried, "+5491141234567", channel="manual")
    await wait_for_message_state(unhurried, message, {MessageState.CLEARED})
    open_ = (await unhurried.api.get(f"/v1/messages/{message}")).document["forecast"]
    await unhurried.services.database.write(
        lambda tx: tx.execute(
            "UPDATE numbers SET new_chats_stopped_at = '2026-03-03T00:00:00.000Z'"
        )
    )
    stopped = (await unhurried.api.get(f"/v1/messages/{message}")).document["forecast"]
    assert (open_["code"], stopped["code"]) == ("by_hand", "new_chats_stopped")
    later = await asked(
        unhurried, "+5491141234568", channel="manual", not_before="2026-03-03T18:00:00Z"
    )
    await wait_for_message_state(unhurried, later, {MessageState.CLEARED})
    waiting = (await unhurried.api.get(f"/v1/messages/{later}")).document["forecast"]
    assert waiting["code"] == "due"


@pytest.mark.parametrize("sentence", WAIT_SENTENCES.values())
def test_each_wait_is_known_in_spanish(sentence: str) -> None:
    """The page says in Spanish what the server says."""
    assert load_language("es").translate(sentence) != sentence
