"""Texts in Chromium: three real people, the footer of a first contact, and versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, expect

from tests.helpers.client.browser import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

LAPTOP_ES: Final[dict[str, Any]] = {"viewport": LAPTOP_VIEWPORT, "locale": "es-AR"}
PHONE_EN: Final[dict[str, Any]] = {
    "viewport": PHONE_VIEWPORT,
    "locale": "en-GB",
    "has_touch": True,
}


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with three people, of whom one has no name."""
    async with open_console(build_settings(short_folder)) as made:
        for number, name in enumerate(("GÓMEZ, Ángela", "Petterson", "")):
            entry = {"phone": f"+549114123456{number}", "name": name, "cartera_origen": "feria"}
            await made.api.post("/v1/prospects", **entry, permission="relationship")
        yield made


@pytest.mark.parametrize("where", [LAPTOP_ES, PHONE_EN], ids=["laptop", "phone"])
async def test_a_text_is_written_seen_on_people_and_approved(
    browser: Browser, console: ConsoleServer, where: dict[str, Any]
) -> None:
    """A missing value leaves out or fills, never blank; a new version changes no approved one."""
    async with open_page(browser, console, "/texts/new?purpose=follow_up", **where) as page:
        await wait_until_live(page)
        await page.locator("[name=name]").fill("Saludo")
        await page.locator("[name=body]").fill("Hola ")
        await page.locator("[data-variable=nombre]").click()
        people = page.locator("#text-preview .text-person")
        await expect(people).to_have_count(3)
        await expect(page.locator("#text-preview")).to_contain_text("Hola Ángela")
        await expect(page.locator("#text-preview [data-state=left_out]")).to_have_count(1)
        await page.locator("[data-fallback=nombre]").fill("qué tal")
        await expect(page.locator("#text-preview [data-state=left_out]")).to_have_count(0)
        await expect(page.locator("#text-preview")).to_contain_text("Hola qué tal")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await list_axe_violations(page) == []
        await page.locator("#text-editor .primary").click()
        await page.locator("main [data-row]").click()
        await page.locator("#approve-1 button").click()
        await page.locator("main [data-row]").click()
        await page.locator("[name=body]").fill("Buenas {nombre}")
        await page.locator("#text-editor .primary").click()
        await expect(page.locator("main [data-state=not_approved]")).to_be_visible()
        assert await list_axe_violations(page) == []
    [text] = (await console.api.get("/v1/texts")).document["items"]
    assert [(each["body"], bool(each["approved_at"])) for each in text["versions"]] == [
        *(("Buenas {nombre}", False), ("Hola {nombre}", True)),
    ]


async def test_the_footer_of_a_first_contact_stays(
    browser: Browser, console: ConsoleServer
) -> None:
    """Without a word of the opt-out list it is refused; an unknown variable at its place."""
    async with open_page(browser, console, "/texts/new?purpose=first_contact", **LAPTOP_ES) as page:
        await wait_until_live(page)
        await page.locator("[name=body]").fill("Hola {nombr}")
        await expect(page.locator("#text-preview .problem")).to_contain_text("{nombre}")
        await page.locator("[name=body]").fill("Hola {nombre}")
        await page.locator("[name=footer]").fill("Soy {quien}, de {origen_en_palabras}.")
        await expect(page.locator("#text-preview .problem")).to_contain_text("lista de bajas")
        await page.locator("[name=name]").fill("Feria")
        await page.locator("#text-editor .primary").click()
        await expect(page.locator("#text-editor > .problem")).to_be_visible()
    assert (await console.api.get("/v1/texts")).document["items"] == []
