"""The page of a ban: figures, people and the text for WhatsApp, from Today and from the phone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from statemachines.message import MessageState
from storage.bans import insert_ban, list_bans
from storage.numbers import set_number_banned
from storage.tx import Tx
from tests.helpers.client.console import (
    ConsoleServer,
    get_page,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import build_settings, build_wall_clock_settings

pytestmark = pytest.mark.slow

PERSON = "+5491141234567"
ROW = "Nombre;Teléfono;Origen;Consentimiento;Evidencia\nAna;+5491141234567;feria;sí;tildó\n"
BAN_AFTER = 9.0


async def let_the_number_be_banned(console: ConsoleServer) -> str:
    """Begin one chat, let WhatsApp ban the number after it, and return the id of the ban."""
    await console.import_list(ROW.encode())
    await console.add_session(
        line=[{"at": BAN_AFTER, "do": "ban", "session": "ventas", "seconds": 3600}]
    )
    # Before the session starts, so that it leaves as soon as that is ready.
    order = {"to": PERSON, "text": "Hola, Ana"}
    reply = await console.api.call("POST", "/v1/messages", json=order)
    await console.api.post("/v1/sessions/ventas/start")
    await wait_for_message_state(
        console,
        reply.document["id"],
        {MessageState.SENT, MessageState.DELIVERED, MessageState.READ},
    )
    await console.wait_for_session_state("ventas", {"banned_temporarily"})
    [ban] = await console.services.database.read(list_bans)
    return ban.id


@pytest.mark.parametrize(
    ("language", "title", "appeal"),
    [
        ("en", "About this ban", "Hello. My number"),
        ("es-AR", "Sobre esta suspensión", "Hola. Mi número"),
    ],
)
async def test_a_ban_has_its_page(
    short_folder: Path, language: str, title: str, appeal: str
) -> None:
    """Reached from Today and from the phone's page; it names code, figures and what to write."""
    async with open_console(build_settings(short_folder)) as console:
        ban = await let_the_number_be_banned(console)
        for path in ("/", "/sessions/ventas"):
            assert f"/bans/{ban}" in (await get_page(console, path)).document
        shown = (await get_page(console, f"/bans/{ban}", **{"Accept-Language": language})).document
        assert title in shown
        assert appeal in shown
        assert "banned_too_many_unknown_people" in shown
        answer = await console.api.get(f"/v1/bans/{ban}")
        assert answer.document["first_contacts"] == 1
        listed = (await console.api.get("/v1/numbers")).document["items"]
        [number] = listed
        assert [stop["code"] for stop in number["stops"]] == ["new_chats_stopped", "number_banned"]
        status = (await console.api.get("/v1/status")).document
        assert "number_banned" in [each["code"] for each in status["warnings"]]


async def test_a_ban_that_is_over_is_acknowledged_on_its_page(short_folder: Path) -> None:
    """Not before its end; where its session is deleted, by another one of the number."""
    async with open_console(build_wall_clock_settings(short_folder)) as console:
        await console.add_ready_session()
        phone = console.services.sessions.view("ventas").phone
        await console.api.post(
            "/v1/sessions", name="hand", channel="manual", options={"phone": phone}
        )
        now = console.services.clock.now()

        def store(tx: Tx, until: datetime) -> str:
            ban = insert_ban(
                tx, phone=phone, session="ventas", at=now, reason_code="blocked", until=until
            )
            set_number_banned(tx, str(phone), now)
            return ban.id

        hour = timedelta(hours=1)
        lasting = await console.services.database.write(lambda tx: store(tx, now + hour))
        over = await console.services.database.write(lambda tx: store(tx, now - hour))
        await console.api.call("DELETE", "/v1/sessions/ventas")
        button = "/v1/sessions/hand/acknowledge"
        assert button not in (await get_page(console, f"/bans/{lasting}")).document
        assert button in (await get_page(console, f"/bans/{over}")).document


async def test_new_chats_are_resumed_from_the_phones_page(short_folder: Path) -> None:
    """With a reason; the number stays banned until somebody acknowledges that."""
    async with open_console(build_settings(short_folder)) as console:
        await let_the_number_be_banned(console)
        dialog = (await get_page(console, "/pieces/sessions/ventas/resume-new-chats")).document
        assert "/v1/numbers/resume" in dialog
        phone = console.services.sessions.view("ventas").phone
        reply = await console.api.post("/v1/numbers/resume", phone=phone, reason="a new list")
        assert reply.status == 200
        [number] = (await console.api.get("/v1/numbers")).document["items"]
        assert [stop["code"] for stop in number["stops"]] == ["number_banned"]
        assert number["trips"][0]["resumed_reason"] == "a new list"
