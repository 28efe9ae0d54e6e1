"""Texts: three promises, each on a laptop and on a phone, and approved texts in the boxes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.auth.identity import Role
from tests.helpers.client.browser import (
    SIZES,
    Look,
    choose_look,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import (
    ACKNOWLEDGED_STATES,
    ConsoleServer,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import DAYTIME, Json, build_settings

pytestmark = pytest.mark.slow

PEOPLE: Final = ("GÓMEZ, Ángela", "Petterson", "")
FOOTER: Final = "Soy {quien}, de {origen_en_palabras}. Respondé BAJA y no escribimos."


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a phone and three people, of whom one has no name."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas")
        for number, name in enumerate(PEOPLE):
            entry = {"phone": f"+549114123456{number}", "name": name, "cartera_origen": "feria"}
            agreed = {"permission": "opted_in", "statement": "form of the fair"}
            person = await made.api.post("/v1/prospects", **entry, **agreed)
            word = {"validated": True, "reason": "I called them"}
            await made.api.post(f"/v1/prospects/{person.document['id']}/validate", **word)
        yield made


async def add_text(console: ConsoleServer, name: str, purpose: str, **words: Json) -> str:
    """Store a text and approve it; return its id."""
    made = await console.api.post("/v1/texts", name=name, purpose=purpose, **words)
    id_ = str(made.document["id"])
    await console.api.post(f"/v1/texts/{id_}/approve", version=1)
    return id_


async def expect_calm(page: Page) -> None:
    """Expect that nothing is wider than the window, and that axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await list_axe_violations(page) == []


@pytest.mark.parametrize("size", SIZES)
async def test_4_a_preview_is_real_people_with_their_verdicts_and_never_a_hole(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """A missing value leaves out or fills; the filter chooses; others are a press away."""
    look = choose_look(size, 4)
    say = look.say
    async with open_page(browser, console, "/texts/new?purpose=follow_up", **look.options) as page:
        await wait_until_live(page)
        await page.locator("[name=name]").fill("Saludo")
        await page.locator("[name=body]").fill("Mirá dos.com.ar, ")
        await look.press(page.locator("[data-variable=nombre]"))
        preview, people = page.locator("#text-preview"), page.locator("#text-preview .text-person")
        await expect(people).to_have_count(3)
        await expect(preview).to_contain_text("Mirá dos.com.ar, Ángela")
        await expect(preview.locator("[data-state=left_out]")).to_have_count(1)
        await expect(preview.locator("[data-outlook=now]")).to_have_count(2)
        facts = say("1 link · 0 % like", "1 enlace · 0 % igual")
        await expect(people.first).to_contain_text(facts)
        await page.locator("[data-fallback=nombre]").fill("qué tal")
        await expect(preview.locator("[data-state=left_out]")).to_have_count(0)
        await expect(preview).to_contain_text("Mirá dos.com.ar, qué tal")
        await expect_calm(page)
        await console.import_list(
            b"Nombre;Tel\xc3\xa9fono;Origen\nSosa;+5491141230001;guia\n", permission="public_source"
        )
        await page.locator("#preview-filter [name=text]").fill("petter")
        await expect(people).to_have_count(1)
        await page.locator("#preview-filter [name=text]").fill("")
        await look.press(page.get_by_role("button", name=say("Other people", "Otras personas")))
        await expect(people).to_have_count(1)
        await page.locator("#preview-filter [name=permission]").select_option("public_source")
        await expect(people).to_have_count(1)
        await expect(preview).to_contain_text("Sosa")
        await expect(preview.locator("[data-outlook=now]")).to_have_count(0)


@pytest.mark.parametrize("size", SIZES)
async def test_5_the_footer_of_a_first_contact_stays(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Without a word of the opt-out list it is refused; an unknown variable at its place."""
    look = choose_look(size, 5)
    listed = look.say("opt-out list", "lista de bajas")
    async with open_page(
        browser, console, "/texts/new?purpose=first_contact", **look.options
    ) as page:
        await wait_until_live(page)
        await page.locator("[name=body]").fill("Hola {nombr}")
        await expect(page.locator("#text-preview .problem")).to_contain_text("{nombre}")
        await page.locator("[name=body]").fill("Hola {nombre}")
        await page.locator("[name=footer]").fill("Soy {quien}, de {origen_en_palabras}.")
        await expect(page.locator("#text-preview .problem")).to_contain_text(listed)
        await page.locator("[name=name]").fill("Feria")
        await look.press(page.locator("#text-editor .primary"))
        await expect(page.locator("#text-editor > .problem")).to_contain_text("BAJA")
        await page.locator("[name=footer]").fill("")
        await look.press(page.locator("#text-editor .primary"))
        await expect_calm(page)
    assert (await console.api.get("/v1/texts")).document["items"] == []


@pytest.mark.parametrize("size", SIZES)
async def test_6_a_new_version_changes_no_approved_one(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """What is used is the version that a person approved, until one approves the next."""
    look = choose_look(size, 6)
    say = look.say
    id_ = await add_text(console, "Saludo", "follow_up", body="Hola {nombre}")
    async with open_page(browser, console, f"/texts/{id_}", **look.options) as page:
        await wait_until_live(page)
        missing = say("your own number is missing", "falta tu número")
        await expect(page.locator("#test-message")).to_contain_text(missing)
        await page.locator("[name=body]").fill("Buenas {nombre}")
        await look.press(page.locator("#text-editor .primary"))
        await expect(page.locator("main [data-state=not_approved]")).to_be_visible()
        await expect_calm(page)
        [text] = (await console.api.get("/v1/texts")).document["items"]
        assert [(each["body"], bool(each["approved_at"])) for each in text["versions"]] == [
            *(("Buenas {nombre}", False), ("Hola {nombre}", True)),
        ]
        await look.press(page.locator("main [data-row]"))
        await look.press(page.locator("#approve-2 button"))
        await expect(page.locator("main [data-state=approved]")).to_be_visible()
        await console.services.auth.users.create_user("ana", Role.OPERATOR, "root")
        await console.services.auth.users.set_phone("ana", "+5491145551234", "root")
        await page.goto(f"/texts/{id_}")
        await look.press(page.locator("#test-message button"))
        await expect(page.locator("main [data-state=test_message]").first).to_be_visible()
        await expect(page.locator("main .bubble")).to_have_text("Buenas Petterson")
        await expect_calm(page)


async def choose_text(page: Page, look: Look, box: str) -> None:
    """Choose the text that is offered for a box: by a / in it, or by its button."""
    field, choice = page.locator(box), page.locator(f"{box}-texts [data-template]")
    if look.by_keys:
        await field.focus()
        await field.press("/")
        await expect(choice).to_have_count(1)
        await field.press("ArrowDown")
        await expect(choice).to_be_focused()
        await choice.press("Enter")
    else:
        await look.press(page.locator(f"[data-open-texts={box[1:]}]"))
        await look.press(choice)


@pytest.mark.parametrize("size", SIZES)
async def test_an_approved_text_is_chosen_in_a_box(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """In a new message a first contact, in the chat a follow-up; each names its version."""
    look = choose_look(size, 7)
    body = {"body": "Hola {nombre}", "fallbacks": {"origen_en_palabras": "la feria"}}
    first = await add_text(console, "Feria", "first_contact", **body, footer=FOOTER)
    await add_text(console, "Seguimos", "follow_up", body="¿Seguimos, {nombre}?")
    found = await console.api.get("/v1/prospects?text=petterson")
    [person] = found.document["items"]
    async with open_page(
        browser, console, f"/messages/new?prospect={person['id']}", **look.options
    ) as page:
        await wait_until_live(page)
        await choose_text(page, look, "#new-text")
        await expect_calm(page)
        await expect(page.locator("#new-text")).to_have_value(
            "Hola Petterson\n\nSoy ana, de la feria. Respondé BAJA y no escribimos."
        )
        await expect(page.locator("#verdict [data-outlook=now]")).to_be_visible()
        await look.press(page.locator("#sheet .primary"))
        await expect(page.locator("#sent [data-state]")).to_be_visible()
        [message] = (await console.api.get("/v1/messages")).document["items"]
        assert message["template"] == f"{first}@1"
        await wait_for_message_state(console, message["id"], ACKNOWLEDGED_STATES)
        written = InboundMessage("W1", parse_identity(person["phone"]), "¿Quién sos?", DAYTIME)
        await console.services.signal_handlers.inbound.handle_inbound("ventas", written)
        await page.goto(f"/chats/{person['contact']}?tab=all")
        await wait_until_live(page)
        await choose_text(page, look, "#chat-text")
        await expect(page.locator("#chat-text")).to_have_value("¿Seguimos, Petterson?")
