"""The page shows the server's words: each state's, the same in table, REST, stream and page."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from daemon.http.console.language import load_language
from statemachines.message import MessageState
from statemachines.session import ConnectionState
from storage import messages, sessions
from tests.helpers.client.browser import open_page, wait_until_live
from tests.helpers.client.console import (
    ConsoleServer,
    move_message_to_state,
    open_console,
    update_session_record,
)
from tests.helpers.client.http import build_wall_clock_settings
from tests.helpers.client.websocket import StreamClient

ENGLISH = load_language("en")
BY_HAND = {MessageState.TAKEN, MessageState.REVEALED, MessageState.CONFIRMED_BY_HAND}
FIRST_NUMBER = 5491141230000


@pytest.fixture
async def timely_console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console by the machine's own clock, as a manual session needs it."""
    async with open_console(build_wall_clock_settings(short_folder)) as made:
        yield made


async def test_every_state_of_a_session_has_one_word(
    console: ConsoleServer, browser: Browser
) -> None:
    """State and sentence of each are those of the row, of REST and of the WebSocket, live."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    house = console.services
    async with open_page(browser, console, "/sessions") as page, listening(console) as ear:
        await wait_until_live(page)
        # It begins as stopped: that one comes last, so that each is a change.
        for state in sorted(ConnectionState, key=lambda state: state is ConnectionState.STOPPED):
            due = house.clock.now() + timedelta(hours=1)
            await update_session_record(
                console, "ventas", connection=state, reason_code="", due_at=due, phone_seen_at=due
            )
            told = (await ear.read_events(1))[0]["data"]
            row = await house.database.read(lambda reader: sessions.get_session(reader, "ventas"))
            rest = (await console.api.get("/v1/sessions/ventas")).document
            assert row is not None
            assert row.connection == rest["state"] == told["state"] == state
            pill = page.locator(f'#session-ventas [data-state="{state}"]')
            await expect(pill).to_have_text(ENGLISH(f"connection.{state}"))
            sentence = page.locator("#session-ventas .status-sentence")
            await expect(sentence).to_have_text(rest["sentence"], use_inner_text=False)
            assert rest["sentence"] == told["sentence"]


@contextlib.asynccontextmanager
async def listening(console: ConsoleServer) -> AsyncIterator[StreamClient]:
    """Listen to the status stream over a WebSocket, from now on."""
    url = f"{console.url}/v1/events"
    async with console.api.session.ws_connect(url, protocols=("leadmaster.v1",)) as socket:
        ear = StreamClient(socket)
        await ear.read_until("subscribed")
        yield ear


async def test_every_state_of_a_message_has_one_word(
    timely_console: ConsoleServer, browser: Browser
) -> None:
    """Each pill's state is that of the row, REST and the WebSocket, its word the catalogue's."""
    console = timely_console
    house, numbers = console.services, itertools.count(FIRST_NUMBER)
    for channel in ("simulated", "manual"):
        await console.api.post("/v1/sessions", name=channel, channel=channel)
    await house.outbox.stop(1)  # nothing moves from here on but what the test moves
    before = await house.database.high_water()
    async with listening(console) as ear:
        for state in MessageState:
            channel = "manual" if state in BY_HAND else "simulated"
            order = {"to": f"+{next(numbers)}", "text": f"Hola {state}", "session": channel}
            reply = await console.api.call("POST", "/v1/messages", json=order)
            assert reply.status == 202, reply.document["detail"]
            move = partial(move_message_to_state, reply.document["id"], state, channel)
            await house.database.write(move)
        heard = await ear.read_events(await house.database.high_water() - before)
    told = {each["subject"]: each["data"]["state"] for each in heard}
    rest = {each["id"]: each["state"] for each in (await listed(console))}
    rows = await house.database.read(lambda reader: messages.list_messages(reader, limit=100))
    assert {row.id: row.state for row in rows} == rest
    assert told == rest
    assert set(rest.values()) == set(MessageState)
    async with open_page(browser, console, "/messages") as page:
        for identity, word in rest.items():
            pill = page.locator(f"#row-{identity} [data-state]")
            await expect(pill).to_have_attribute("data-state", word)
            await expect(pill).to_have_text(ENGLISH(f"message.{word}"))


async def listed(console: ConsoleServer) -> list[dict[str, str]]:
    """Return the messages as REST tells them."""
    found: list[dict[str, str]] = (await console.api.get("/v1/messages?limit=100")).document[
        "items"
    ]
    return found
