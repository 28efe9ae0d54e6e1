"""A new message to one person: three promises, each on a laptop and on a phone."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from daemon.settings import Settings
from tests.helpers.client.browser import (
    SIZES,
    Look,
    choose_look,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

ANSWER: Final = "#verdict .verdict-answer"


@pytest.fixture
def settings(short_folder: Path) -> Settings:
    """Return the settings of the console."""
    return build_settings(short_folder)


@pytest.fixture
async def console(settings: Settings) -> AsyncIterator[ConsoleServer]:
    """Open a console with a phone that is ready."""
    async with open_console(settings) as made:
        await made.add_ready_session("ventas")
        yield made


async def add_person(
    console: ConsoleServer, phone: str, permission: str = "opted_in", *, validated: bool = True
) -> str:
    """Add a prospect; return its id."""
    entry = {"phone": phone, "cartera_origen": "feria", "permission": permission}
    agreed = {"statement": "form of the fair"} if permission == "opted_in" else {}
    made = await console.api.post("/v1/prospects", **entry, **agreed)
    found = str(made.document["id"])
    if validated:
        word = {"validated": True, "reason": "I called them"}
        await console.api.post(f"/v1/prospects/{found}/validate", **word)
    return found


async def write(page: Page, person: str, text: str) -> Locator:
    """Write to a person; return the answer, once there is one."""
    await page.goto(f"/messages/new?prospect={person}")
    await wait_until_live(page)
    await page.locator("textarea").fill(text)
    answer = page.locator(ANSWER)
    await expect(answer).to_be_visible()
    return answer


async def expect_outlook(answer: Locator, outlook: str, words: str) -> None:
    """Expect one of the five answers, in the reader's words."""
    await expect(answer).to_have_attribute("data-outlook", outlook)
    await expect(answer).to_contain_text(words)


async def press_step(page: Page, look: Look, name: str) -> None:
    """Press what may be done about an answer."""
    await look.press(page.locator(ANSWER).get_by_role("button", name=re.compile(name)))


@pytest.mark.parametrize("size", SIZES)
async def test_1_five_answers_and_what_to_do_about_each_no(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Now, later, for approval, by hand, or not at all; each button changes the answer."""
    look = choose_look(size, 1)
    agreed = await add_person(console, "+5491141234561")
    abroad = await add_person(console, "+819012345678")
    known = await add_person(console, "+5491141234562", "relationship")
    public = await add_person(console, "+5491141234563", "public_source")
    nobody = await add_person(console, "+5491141234564", "none")
    unchecked = await add_person(console, "+5491141234565", validated=False)
    gone = await add_person(console, "+5491141234566")
    await console.api.post("/v1/suppressions", phone="+5491141234566", reason="asked for it")
    say = look.say
    async with open_page(browser, console, "/", **look.options) as page:
        answer = await write(page, agreed, "Hola")
        await expect_outlook(answer, "now", say("Leaves now by ventas", "Sale ahora por ventas"))
        assert await list_axe_violations(page) == []
        answer = await write(page, abroad, "Hola")
        await expect_outlook(answer, "later", say("Outside business hours", "horario"))
        answer = await write(page, known, "Hola")
        await expect_outlook(answer, "approval", say("Waits for approval", "Queda para aprobar"))
        answer = await write(page, public, "Hola, mirá https://example.com/oferta")
        await expect_outlook(answer, "no", say("Can not leave", "No puede salir"))
        assert await list_axe_violations(page) == []
        await press_step(page, look, say("Remove the link", "Quitar el enlace"))
        await expect(page.locator("textarea")).to_have_value("Hola, mirá")
        await expect_outlook(answer, "by_hand", say("Goes by hand", "Va a mano"))
        answer = await write(page, unchecked, "Hola")
        await press_step(page, look, say("Check on WhatsApp", "Verificar en WhatsApp"))
        await expect(answer).to_have_attribute("data-outlook", "now")
        answer = await write(page, gone, "Hola")
        await expect_outlook(answer, "no", say("only their own message", "solo un mensaje suyo"))
        await expect(answer.get_by_role("button")).to_have_count(0)
        answer = await write(page, nobody, "Hola")
        await press_step(page, look, say("Record", "Registrar"))
        await page.locator("#dialog [name=when]").fill("2026-03-01")
        await page.locator("#dialog [name=words]").fill("Sí, escribime")
        await look.press(page.locator("#dialog .dialog-foot .primary"))
        await expect(answer).to_have_attribute("data-outlook", "now")


@pytest.mark.parametrize("size", SIZES)
async def test_2_of_answers_out_of_order_the_newest_is_shown(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The first is slow: none is shown while one is due, and it replaces nothing later.

    Then it is sent once by two presses, shown in the sheet, and taken back.
    """
    look = choose_look(size, 2)
    person = await add_person(console, "+5491141234561")
    held: list[str] = []
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def delay_first(route: Route) -> None:
        held.append(json.loads(route.request.post_data or "{}")["text"])
        if len(held) == 1:
            arrived.set()
            await let_go.wait()
        await route.continue_()

    async with open_page(browser, console, "/", **look.options) as page:
        await page.route("**/pieces/messages/check", delay_first)
        await page.goto(f"/messages/new?prospect={person}")
        await wait_until_live(page)
        await page.locator("textarea").fill("Hola https://example.com")
        await arrived.wait()
        await expect(page.locator("#verdict")).to_be_empty()
        await page.locator("textarea").fill("Hola")
        answer = page.locator(ANSWER)
        await expect(answer).to_be_visible()
        shown = await answer.inner_html()
        async with page.expect_response(
            lambda each: "example" in (each.request.post_data or "") and "check" in each.url
        ):
            let_go.set()
        assert await answer.inner_html() == shown
        assert held[0] == "Hola https://example.com"
        assert set(held[1:]) == {"Hola"}
        send = page.get_by_role("button", name=look.say("Send", "Enviar"), exact=True)
        if look.by_keys:
            await page.locator("textarea").press("Control+Enter")
        else:
            await look.press(send)
        await expect(page.locator("#sent .pill")).to_be_visible()
        await expect(page.locator("#sheet")).to_be_hidden()
        assert await list_axe_violations(page) == []
        await look.press(page.locator("#toasts button"))
        await expect(page.locator("#sheet")).to_be_visible()
        await expect(page.locator("textarea")).to_have_value("Hola")
    [message] = (await console.api.get("/v1/messages")).document["items"]
    assert message["state"] == "cancelled"


@pytest.mark.parametrize("size", SIZES)
async def test_3_a_new_phone_names_the_day_from_which_it_checks(
    browser: Browser, settings: Settings, size: str
) -> None:
    """Its fourteen days, and that a person may validate the number instead."""
    look = choose_look(size, 3)
    pacing = msgspec.structs.replace(settings.pacing, number_check_min_age_days=14)
    async with open_console(msgspec.structs.replace(settings, pacing=pacing)) as console:
        await console.add_ready_session("ventas")
        person = await add_person(console, "+5491141234561", validated=False)
        async with open_page(browser, console, "/", **look.options) as page:
            answer = await write(page, person, "Hola")
            await expect(answer).to_have_attribute("data-code", "phone_linked_recently")
            await expect(answer).to_contain_text(look.say("17 Mar 2026", "17/03/2026"))
            await expect(answer).to_contain_text("14")
            await press_step(page, look, look.say("Validate", "Validar"))
            await page.locator("#dialog input[name=reason]").fill("I called them")
            await look.press(page.locator("#dialog .dialog-foot .primary"))
            await expect(answer).to_have_attribute("data-outlook", "now")


async def test_a_number_that_nobody_knows_says_where_it_is_from_first(
    browser: Browser, console: ConsoleServer
) -> None:
    """No text can be written to it before; by the keyboard alone, from Today."""
    look = choose_look("laptop", 1)
    async with open_page(browser, console, "/", **look.options) as page:
        await wait_until_live(page)
        await page.keyboard.press("n")
        await page.wait_for_url("**/messages/new")
        await page.locator("#search").fill("11 4123-4569")
        await expect(page.locator("textarea")).to_have_count(0)
        await look.press(page.locator(".unknown-number button"))
        await expect(page.locator("#dialog [name=phone]")).to_have_value("11 4123-4569")
        await page.locator("#dialog [name=cartera_origen]").fill("guía")
        await look.press(page.locator("#dialog .dialog-foot .primary"))
        await page.wait_for_url("**/messages/new?to=**")
        await page.locator("textarea").fill("Hola")
        await expect(page.locator(ANSWER)).to_be_visible()
