"""The pages of sessions in every state, in both languages: cards, timelines, dialogs, Today."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest

from daemon.auth import ROLE_SCOPES, Role
from daemon.events import SessionQrShown
from daemon.http.console.language import load_language
from daemon.http.console.sessions import PAIRING_SHOWN_IN, SESSION_ACTIONS
from daemon.sessions.status import UserAction
from daemon.settings import PacingSettings
from statemachines.message import MessageState
from statemachines.qr import PairingMethod, QrState
from statemachines.session import BLOCKING_STATES, ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import spends
from storage.spends import SpendKind
from tests.helpers.client.console import (
    ConsoleServer,
    move_message_to_state,
    open_console,
    render,
    update_session_record,
)
from tests.helpers.client.http import DAYTIME, build_settings, build_wall_clock_settings

pytestmark = pytest.mark.slow

PAGES = ("/", "/pieces/today", "/sessions")
OF_ONE = (
    *("/sessions/ventas", "/pieces/sessions/ventas", "/pieces/sessions/ventas/timeline"),
    *(f"/pieces/sessions/ventas/{action}" for action in sorted(SESSION_ACTIONS)),
)
SOON = DAYTIME + timedelta(hours=1)
LONG_AGO = DAYTIME - timedelta(days=20)


@pytest.fixture
async def wall_clock_console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console by the machine's clock, where a manual session may be added."""
    async with open_console(build_wall_clock_settings(short_folder)) as made:
        yield made


async def enqueue(console: ConsoleServer, number: int, state: MessageState) -> str:
    """Enter a message of the session in a state; return its id."""
    order = {"to": f"+{5491141230000 + number}", "text": "Hola", "session": "ventas"}
    reply = await console.api.call("POST", "/v1/messages", json=order)
    move = partial(move_message_to_state, reply.document["id"], state, "simulated")
    await console.services.database.write(move)
    return str(reply.document["id"])


@pytest.mark.parametrize(
    "moments", [{}, {"due_at": SOON, "banned_until": SOON}], ids=["open", "due"]
)
async def test_a_session_in_every_state_of_its_connection(
    console: ConsoleServer, moments: dict[str, object]
) -> None:
    """With a deadline and without one; each asks a person for another thing, or for nothing."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    asked = set()
    for state, seen in itertools.product(ConnectionState, (None, DAYTIME)):
        method = PairingMethod.CODE if seen else PairingMethod.QR
        moved = {"connection": state, "reason_code": "", "phone_seen_at": seen, "due_at": None}
        moved["pairing_method"] = method
        await update_session_record(console, "ventas", **(moved | moments))
        shown = await render(console, *PAGES, *OF_ONE)
        assert f'data-state="{state}"' in shown
        assert ("About this ban" in shown) is (state is ConnectionState.BANNED_TEMPORARILY)
        asked.add(console.services.sessions.view("ventas").user_action)
    assert asked == set(UserAction) - {UserAction.OPEN_PHONE}


async def test_a_pairing_in_every_state_is_told_while_it_matters(console: ConsoleServer) -> None:
    """Scanned and linking, expired, cancelled: where the session does something else, no word."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    for state, pairing in itertools.product(ConnectionState, QrState):
        await update_session_record(console, "ventas", connection=state, pairing=pairing)
        shown = await render(console, *OF_ONE[:2])
        told = state in PAIRING_SHOWN_IN.get(pairing, ())
        assert (f'data-pairing="{pairing}"' in shown) is told
        assert ('class="linking"' in shown) is (told and pairing in {"scanned", "paired"})
        assert ("expired before a phone was linked" in shown) is (told and pairing == "expired")


async def test_a_code_that_nobody_typed_is_told_as_that(console: ConsoleServer) -> None:
    """It was not scanned: that is another way."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await update_session_record(
        console,
        "ventas",
        connection=ConnectionState.QR_EXPIRED,
        pairing=QrState.EXPIRED,
        pairing_method=PairingMethod.CODE,
        reason_code="pairing_code_expired",
    )
    shown = await render(console, *OF_ONE[:2])
    assert "The code expired: nobody typed it." in shown
    assert "Nobody typed the code on the phone in time" in shown
    assert "Link with a code instead" in shown


@pytest.mark.parametrize("banned", ReportedBan)
async def test_what_was_said_about_a_number_is_on_its_page(
    console: ConsoleServer, banned: ReportedBan
) -> None:
    """With who said it, whatever was said."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    path = "/v1/sessions/ventas/linking-answers"
    for age in NumberAge:
        await console.api.post(path, number_age=age, banned=banned)
        shown = await render(console, "/sessions/ventas", "/pieces/sessions/ventas/linking-answers")
        assert "said by ana" in shown
    assert "About the number" in shown


async def test_a_ready_session_in_every_state_of_phone_and_sending(
    console: ConsoleServer,
) -> None:
    """All of them stand in its timeline afterwards, with what switched it on and off."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    assert "Nothing has happened yet" in await render(console, "/pieces/sessions/ventas/timeline")
    states = itertools.product(PhoneState, SendingState, ("on", "off"), (None, SOON))
    for phone, sending, desired, until in states:
        for seen in (None, LONG_AGO):
            await update_session_record(
                console,
                "ventas",
                connection=ConnectionState.READY,
                reason_code="ready",
                phone_state=phone,
                phone_seen_at=seen,
                sending=sending,
                sending_until=until,
                desired=desired,
            )
            shown = await render(console, *PAGES, *OF_ONE[:2])
            if sending is SendingState.REPLY_ONLY:
                assert "You can reply; new chats are closed" in shown
    lived = await render(console, "/pieces/sessions/ventas/timeline")
    for words in ("Device unlinked", "Device online", "Can only reply", "Switched on"):
        assert words in lived


async def test_a_code_is_on_show(console: ConsoleServer) -> None:
    """The code with its countdown, and that there is one to scan."""
    news = console.services.bus.subscribe()
    await console.start_session("ventas", scan_after=1000)
    async with asyncio.timeout(20):
        while not isinstance((await anext(aiter(news))).event, SessionQrShown):
            pass
    news.close()
    shown = await render(console, *PAGES, *OF_ONE)
    assert 'class="qr"' in shown
    assert "Code 1 of 6" in shown
    assert "ventas: scan the code" in shown


@pytest.mark.parametrize(("budget", "used"), [(0, 0), (3, 0), (3, 2), (3, 3), (1, 1), (1000, 1)])
async def test_a_budget_of_every_size(short_folder: Path, budget: int, used: int) -> None:
    """None, one and many left, as dots and as figures; Today says how many."""
    pacing = PacingSettings(new_chats_first_week=budget)
    settings = msgspec.structs.replace(build_settings(short_folder), pacing=pacing)
    async with open_console(settings) as console:
        await console.add_ready_session()
        phone = console.services.sessions.view("ventas").phone
        assert phone is not None
        book = partial(
            spends.insert_spend,
            phone=phone,
            kind=SpendKind.NEW_CHAT,
            session="ventas",
            message=None,
        )
        for _ in range(used):
            await console.services.database.write(lambda tx: book(tx, at=DAYTIME))
        shown = await render(console, *PAGES, *OF_ONE)
        assert f"{budget - used} of {budget} left" in shown
        assert ("dots-picture" in shown) is (0 < budget <= 10)
        assert ("You can send" in shown) is (used < budget)


@pytest.mark.parametrize(("waiting", "sending"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 2)])
async def test_an_action_tells_how_many_messages_it_meets(
    console: ConsoleServer, waiting: int, sending: int
) -> None:
    """None, one and many, that wait and that are on their way; the halt counts them likewise."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.services.outbox.stop(1)
    for number in range(waiting):
        await enqueue(console, number, MessageState.QUEUED)
    for number in range(sending):
        await enqueue(console, 10 + number, MessageState.SENDING)
    shown = await render(console, "/pieces/halt", *PAGES, *OF_ONE)
    assert shown.count("of its messages wait") == (3 if waiting else 0)
    assert ("choose what happens to" in shown) is bool(waiting)
    assert ("already leaving" in shown.split("</form>")[0]) is bool(sending)
    await console.api.post("/v1/halt", reason="a drill")
    assert ("checked again" in await render(console, "/pieces/halt", *PAGES)) is bool(waiting)


@pytest.mark.parametrize("count", [1, 2])
async def test_deleting_offers_what_may_become_of_the_messages(
    wall_clock_console: ConsoleServer, count: int
) -> None:
    """Cancel them, or give them to a session of the same number and kind; to no other."""
    console = wall_clock_console
    for name in ("ventas", "reemplazo", "ajena"):
        await console.api.post("/v1/sessions", name=name, channel="simulated")
    await console.api.post("/v1/sessions", name="a_mano", channel="manual")
    await console.services.outbox.stop(1)
    for number in range(count):
        await enqueue(console, number, MessageState.QUEUED)
    alone = await render(console, "/pieces/sessions/ventas/delete")
    assert "No other phone has the same number" in alone
    assert 'name="to"' not in alone
    for name in ("ventas", "reemplazo", "a_mano"):
        await update_session_record(console, name, phone="+5491150001111")
    shown = await render(console, "/pieces/sessions/ventas/delete")
    assert re.findall(r'name="to" value="(.*?)"', shown) == ["reemplazo"]
    assert 'name="queue" value="cancel"' in shown
    assert "name=" not in await render(console, "/pieces/sessions/reemplazo/delete")


@pytest.mark.parametrize("count", [1, 2])
async def test_messages_that_a_session_holds_up_say_why_and_what_to_do(
    console: ConsoleServer, count: int
) -> None:
    """On Today with their number, and on the message's own page, for every reason."""
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    await console.services.outbox.stop(1)
    await update_session_record(console, "ventas", connection=ConnectionState.READY)
    found = [await enqueue(console, number, MessageState.CLEARED) for number in range(count)]
    for state, block in BLOCKING_STATES.items():
        await update_session_record(console, "ventas", connection=state)
        for message in found:
            shown = await render(console, "/", f"/messages/{message}")
            assert f'id="todo-blockedventas{block}"' in shown
            assert ("2 messages" in shown) is (count == 2)
            assert (
                f'<a href="/sessions/ventas">{load_language("en")(f"blocked_by.{block}")}' in shown
            )
            assert "leadmaster sessions" not in shown
        await update_session_record(console, "ventas", connection=ConnectionState.READY)
        for message in found:
            again = partial(move_message_to_state, message, MessageState.CLEARED, "simulated")
            await console.services.database.write(again)
    assert "todo-blocked" not in await render(console, "/")


async def test_a_viewer_sees_sessions_without_buttons(short_folder: Path) -> None:
    """In every state: what may not be done is not offered."""
    async with open_console(build_settings(short_folder)) as console:
        await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    async with open_console(build_settings(short_folder), ROLE_SCOPES[Role.VIEWER]) as console:
        for state in ConnectionState:
            await update_session_record(console, "ventas", connection=state, reason_code="")
            shown = await render(console, *PAGES, *OF_ONE[:3])
            assert 'data-call="/v1/sessions' not in shown
            assert "/pieces/sessions/new" not in shown


async def test_no_session_yet(wall_clock_console: ConsoleServer) -> None:
    """The pages say what a session is; the dialog names every channel."""
    shown = await render(wall_clock_console, *PAGES, "/pieces/sessions/new")
    assert "No phones yet" in shown
    assert '<option value="manual">' in shown
