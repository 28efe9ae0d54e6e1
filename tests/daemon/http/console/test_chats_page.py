"""Chats as their page shows them: what the box says, the origin answer, closing, data requests."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from statemachines.message import MessageState
from tests.helpers.client.chats import Person, add, find_contact, make_person, write
from tests.helpers.client.console import (
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    get_page,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

ASKED = "¿Cuánto sale?"
SPANISH = {"Accept-Language": "es-AR"}
_TAGS = re.compile(r"<[^>]+>|\s+")


async def read_chat(console: ConsoleServer, person: Person) -> str:
    """Return the chat of somebody as the page shows it, in Spanish."""
    path = f"/pieces/chats/{await find_contact(console, person)}"
    return str((await get_page(console, path, **SPANISH)).document)


async def read_today(console: ConsoleServer) -> str:
    """Return the words of Today, in Spanish."""
    return _TAGS.sub(" ", (await get_page(console, "/pieces/today", **SPANISH)).document)


async def list_tab(console: ConsoleServer, tab: str, text: str = "") -> list[str]:
    """Return the names of a tab's chats."""
    reply = await console.api.call(
        "GET", "/v1/conversations", params={"tab": tab, "text": text, "limit": "100"}
    )
    return [each["name"] for each in reply.document["items"]]


async def test_the_box_says_until_when_and_what_stops_an_answer(console: ConsoleServer) -> None:
    """Amber under two hours before the end; a halt and a ban are named beside it."""
    await console.add_ready_session("ventas")
    fresh = await add(console, "Fresh", ASKED, hours=21.9)
    late = await add(console, "Late", ASKED, hours=22.1)
    label = '<label for="chat-text" class="soon">Responder, libre hasta '
    assert label in await read_chat(console, late)
    assert label not in await read_chat(console, fresh)
    await console.api.post("/v1/halt", reason="a test")
    halted = _TAGS.sub(" ", await read_chat(console, late))
    assert re.search(r"Todo está detenido; sale cuando alguien reanude\. Vence hoy \d", halted)
    assert "chat-text" in await read_chat(console, late), "it can be written all the same"
    await console.api.post("/v1/resume", reason="a test")
    await console.start_session("norte", line=[{"at": 0, "do": "ban"}])
    await console.wait_for_session_state("norte", {"banned_temporarily"})
    banned = make_person("Banned")
    entry = {"phone": banned.phone, "name": banned.name, "cartera_origen": "feria"}
    await console.api.post("/v1/prospects", **entry, permission="relationship")
    await write(console, banned, ASKED, session="norte")
    shown = await read_chat(console, banned)
    assert "WhatsApp bloqueó el teléfono de norte" in shown
    assert "WhatsApp bloqueó" not in await read_chat(console, late), "they wrote to another one"


async def test_who_refused_gets_the_origin_answer_and_nothing_else(console: ConsoleServer) -> None:
    """They wait for it; page, API and rules agree; once it left, the box is gone."""
    await console.add_ready_session("ventas")
    person = make_person("Imported")
    row = f"{PROSPECT_CSV_HEADER}{person.name};{person.phone};lista;relación previa\n"
    await console.import_list(row.encode(), origen_en_palabras="la feria de Rosario")
    await write(console, person, "No, gracias, no me interesa")
    assert await list_tab(console, "waiting") == []
    await write(console, person, "¿De dónde sacaron mi número?")
    assert await list_tab(console, "waiting") == [person.name]
    path = f"/v1/conversations/{await find_contact(console, person)}"
    chat = (await console.api.get(path)).document
    assert (chat["mode"], chat["asks_origin"]) == ("refused", True)
    answer, shown = chat["origin_answer"], await read_chat(console, person)
    assert f'data-write="{answer}"' in shown
    assert re.search(r'<textarea id="chat-text"[^>]* readonly', shown)
    body = {"last_seen": chat["last_seen"]}
    outlooks = {}
    for text in (answer, "¿Seguro?"):
        contact = await find_contact(console, person)
        piece = await console.api.post(f"/pieces/chats/{contact}/check", text=text)
        outlooks[text] = re.findall(r'data-outlook="(\w+)"', piece.document)
    assert list(outlooks.values()) == [["now"], ["no"]]
    forged = await console.api.post(f"{path}/reply", text="¿Seguro?", key="k1", **body)
    await wait_for_message_state(console, forged.document["id"], {MessageState.BLOCKED})
    body["last_seen"] = (await console.api.get(path)).document["last_seen"]
    sent = await console.api.post(f"{path}/reply", text=answer, key="k2", **body)
    left = {MessageState.SENT, MessageState.DELIVERED, MessageState.READ}
    made = await wait_for_message_state(console, sent.document["id"], left)
    assert (made.kind, made.text) == ("reply", answer)
    assert await list_tab(console, "waiting") == []
    assert "chat-text" not in await read_chat(console, person)


async def test_closing_asks_what_came_of_it_once(console: ConsoleServer) -> None:
    """With what is proposed first; Today counts who was closed without an outcome."""
    await console.add_ready_session("ventas")
    bare, sold = (
        await add(console, "Bare", "el lunes te digo"),
        await add(console, "Sold", "Sí, me interesa"),
    )
    for person, first in ((bare, "close-no-outcome"), (sold, "close-proposal")):
        contact = await find_contact(console, person)
        assert f'data-dialog="/pieces/chats/{contact}/close"' in await read_chat(console, person)
        dialog = (await get_page(console, f"/pieces/chats/{contact}/close", **SPANISH)).document
        asked = dialog[dialog.index(f'id="{first}"') :]
        assert "autofocus" in asked[: asked.index("</form>")]
        assert dialog.count("autofocus") == 1
        await console.api.post(f"/v1/conversations/{contact}/close")
    assert "2 cerradas sin resultado" in await read_today(console)
    assert set(await list_tab(console, "no_outcome")) == {bare.name, sold.name}
    contact = await find_contact(console, sold)
    done = await console.api.post(f"/v1/conversations/{contact}/outcome", outcome="interested")
    assert "1 cerrada sin resultado" in await read_today(console)
    assert await list_tab(console, "no_outcome") == [bare.name]
    await console.api.post(f"/v1/conversations/{contact}/close", closed=False)
    assert f"/pieces/chats/{contact}/close" not in await read_chat(console, sold), "it was said"
    undone = await console.api.post(
        f"/v1/conversations/{contact}/outcome/undo", id=done.document["id"]
    )
    assert undone.status == 200
    assert f"/pieces/chats/{contact}/close" in await read_chat(console, sold)


async def test_who_asked_for_their_data_is_on_today_until_they_got_it(
    console: ConsoleServer,
) -> None:
    """With the day by which they must have it, ten days after they wrote; each note is audited."""
    await console.add_ready_session("ventas")
    person = await add(console, "Curious", "Quiero ver qué datos míos tienen", hours=24)
    path = f"/v1/conversations/{await find_contact(console, person)}"
    assert "pidió ver sus datos" not in await read_today(console)
    asked = (await console.api.post(f"{path}/data-request")).document
    assert (await console.api.post(f"{path}/data-request")).document == asked, "noted once"
    day = console.services.clock.now() + timedelta(days=9)
    assert asked["due_at"].startswith(f"{day:%Y-%m-%d}")
    assert "1 persona pidió ver sus datos" in await read_today(console)
    assert await list_tab(console, "data_asked") == [person.name]
    shown = await read_chat(console, person)
    assert "Pidió ver sus datos: dáselos antes de" in shown
    assert "/dossier" in shown
    assert "Pidió ver sus datos" in (await get_page(console, "/audit", **SPANISH)).document.replace(
        "pidió ver", "Pidió ver"
    )
    assert (await console.api.post(f"{path}/data-request", given=True)).document["given"] is True
    assert "pidió ver sus datos" not in await read_today(console)
    assert await list_tab(console, "data_asked") == []
    again = await console.api.post(f"{path}/data-request", given=True)
    assert (again.status, again.code) == (409, "conflict")


async def test_digits_are_searched_as_people_write_numbers(console: ConsoleServer) -> None:
    """Words with digits are words, and an accent alone is in nobody's."""
    await console.add_ready_session("ventas")
    for name, phone in (("Uno", "+5491141123456"), ("Dos", "+5491150000002")):
        entry = {"phone": phone, "name": name, "cartera_origen": "feria"}
        await console.api.post("/v1/prospects", **entry, permission="relationship")
    await write(console, Person("+5491141123456", "Uno"), "Hola, qué tal")
    await write(console, Person("+5491150000002", "Dos"), "Necesito 411 piezas")
    for text, found in {
        "411 piezas": ["Dos"],
        "411 tazas": [],
        "\u00b4": [],
        "` \u00b4": [],
        "4112": ["Uno"],
        "011 15 4112-3456": ["Uno"],
        "(11) 4112.3456": ["Uno"],
        "411": ["Dos", "Uno"],
    }.items():
        assert sorted(await list_tab(console, "all", text)) == found, text


async def test_a_repeated_text_leads_to_the_earlier_message(console: ConsoleServer) -> None:
    """The page of a new message has a button for it."""
    await console.add_ready_session("ventas")
    person = await add(console, "Repeated", ASKED)
    path = f"/v1/conversations/{await find_contact(console, person)}"
    seen = (await console.api.get(path)).document["last_seen"]
    reply = await console.api.post(f"{path}/reply", text="Sale mil", key="k", last_seen=seen)
    order = {"to": person.phone, "text": "Sale mil"}
    piece = (await console.api.post("/pieces/messages/check", **order)).document
    assert 'data-code="duplicate"' in piece
    assert f'href="/messages/{reply.document["id"]}"' in piece


async def test_a_spent_budget_says_the_hour_at_which_it_returns(short_folder: Path) -> None:
    """A day after the message that spent it."""
    settings = build_settings(short_folder)
    pacing = msgspec.structs.replace(settings.pacing, new_chats_first_week=1)
    async with open_console(msgspec.structs.replace(settings, pacing=pacing)) as console:
        await console.add_ready_session("ventas")
        for n in (1, 2):
            phone, agreed = f"+549114123456{n}", {"permission": "opted_in", "statement": "form"}
            made = await console.api.post(
                "/v1/prospects", phone=phone, cartera_origen="feria", **agreed
            )
            word = {"validated": True, "reason": "I called them"}
            await console.api.post(f"/v1/prospects/{made.document['id']}/validate", **word)
        first = await console.api.post("/v1/messages", to="+5491141234561", text="Hola, uno")
        left = {MessageState.SENT, MessageState.DELIVERED, MessageState.READ}
        await wait_for_message_state(console, first.document["id"], left)
        order = {"to": "+5491141234562", "text": "Buenas, dos"}
        piece = await console.api.call(
            "POST", "/pieces/messages/check", json=order, headers=SPANISH
        )
        assert 'data-outlook="later" data-code="new_chat_budget"' in piece.document
        assert re.search(r"\(mañana \d\d:\d\d\)", piece.document)
