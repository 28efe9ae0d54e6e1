"""Invitations over the simulated channel: what a message by a link proves, and no more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.gate.consent import Permission, derive_permission
from storage import evidence, inbound
from storage.prospects import ProspectRecord
from tests.helpers.client.console import ConsoleServer, get_page, open_console
from tests.helpers.client.http import build_settings
from tests.helpers.services.database import list_prospects

PAULA: Final = "+5491141234567"


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a linked phone."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas")
        yield made


async def create_link_text(console: ConsoleServer) -> str:
    """Create an invitation; return the text that its link fills in."""
    made = await console.api.post("/v1/invites", session="ventas", name="feria Rosario")
    assert made.status == 201
    link = urlsplit(made.document["link"])
    assert link.netloc == "wa.me"
    assert link.path == "/" + made.document["phone"].removeprefix("+")
    text: str = parse_qs(link.query)["text"][0]
    assert text == made.document["text"]
    return text


async def receive(console: ConsoleServer, text: str, sender: str = PAULA) -> None:
    """Receive a message through the session."""
    signal = InboundMessage(
        f"W{len(text)}", parse_identity(sender), text, console.services.clock.now()
    )
    await console.services.signal_handlers.inbound.handle_inbound("ventas", signal)


async def read_prospect(console: ConsoleServer) -> ProspectRecord | None:
    """Return the only prospect, or None."""
    found = await console.services.database.read(list_prospects)
    return found[0] if found else None


async def test_the_prefilled_text_makes_a_prospect_who_asked(console: ConsoleServer) -> None:
    """Number, origin, conversation and interest; what they wrote is kept as they wrote it."""
    text = await create_link_text(console)
    await receive(console, text)
    prospect = await read_prospect(console)
    assert prospect is not None
    assert (prospect.phone, prospect.cartera_origen) == (PAULA, "feria Rosario")
    assert prospect.validado_tecnicamente
    known = await console.services.database.read(
        lambda r: evidence.list_contact_evidence(r, prospect.contact)
    )
    assert derive_permission(known, console.services.clock.now()) is Permission.CONVERSATION
    assert prospect.intent != "none"
    [row] = await console.services.database.read(lambda r: r.all("SELECT id FROM inbound"))
    kept = await console.services.database.read(lambda r: inbound.get_inbound(r, row["id"]))
    assert kept is not None
    assert (kept.text, kept.request) == (text, "interested")


async def test_other_words_with_the_code_prove_the_number_and_no_interest(
    console: ConsoleServer,
) -> None:
    """A greeting is courtesy: they are a prospect from where the link hangs, and no more."""
    code = re.findall(r"\(LM-\w+\)", await create_link_text(console))[0]
    await receive(console, f"buenas tardes {code.lower()}")
    prospect = await read_prospect(console)
    assert prospect is not None
    assert prospect.validado_tecnicamente
    assert prospect.intent == "none"


@pytest.mark.parametrize("words", ["no me escriban más", "Tengo 14 años"])
async def test_a_no_with_the_code_adds_nobody(console: ConsoleServer, words: str) -> None:
    """It is read without the code, as any no is."""
    code = re.findall(r"\(LM-\w+\)", await create_link_text(console))[0]
    await receive(console, f"{words} {code}")
    assert await read_prospect(console) is None
    [row] = await console.services.database.read(lambda r: r.all("SELECT request FROM inbound"))
    assert row["request"] in {"opt_out", "minor"}


@pytest.mark.parametrize("text", ["Hola, quiero más información.", "Hola (LM-ZZZZZ)"])
async def test_without_a_code_of_ours_they_are_strangers(console: ConsoleServer, text: str) -> None:
    """Who removed it, or made one up, is as anybody who writes."""
    await create_link_text(console)
    await receive(console, text)
    assert await read_prospect(console) is None


async def test_somebody_known_keeps_their_origin(console: ConsoleServer) -> None:
    """`cartera_origen` never changes."""
    entry = {"phone": PAULA, "name": "Paula", "cartera_origen": "web"}
    await console.api.post("/v1/prospects", **entry, permission="public_source")
    await receive(console, await create_link_text(console))
    prospect = await read_prospect(console)
    assert prospect is not None
    assert prospect.cartera_origen == "web"


async def test_the_page_to_print_has_the_code_and_how_to_stop(console: ConsoleServer) -> None:
    """Also in Spanish; an unknown invitation is a page that says so."""
    text = await create_link_text(console)
    [invite] = (await console.api.get("/v1/invites")).document["items"]
    shown = (
        await get_page(console, f"/invites/{invite['code']}", **{"Accept-Language": "es"})
    ).document
    assert 'class="qr"' in shown
    assert text in shown
    assert "respondé BAJA" in shown
    assert (await console.api.get("/invites/NONE")).status == 404
    wrong = await console.api.post("/v1/invites", session="nobody", name="x")
    assert (wrong.status, wrong.code) == (404, "not_found")
