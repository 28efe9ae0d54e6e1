"""Saved filters: kept on the prospects page, taken by a campaign's draft, deleted by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.helpers.client.browser import (
    SIZES,
    Look,
    choose_look,
    is_too_wide,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

NAME: Final = "Rosario " + "W" * 50
"""With a word that is wider than a phone."""


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with two people of Rosario and one of Córdoba."""
    async with open_console(build_settings(short_folder)) as made:
        for number, origin in ((1, "Rosario"), (2, "Rosario"), (3, "Córdoba")):
            await made.api.post(
                "/v1/prospects", phone=f"+549114123400{number}", cartera_origen=origin
            )
        yield made


async def list_ids(console: ConsoleServer, name: str) -> list[str]:
    """Return the ids of the saved filters of a name."""
    found = (await console.api.get("/v1/saved-filters")).document["items"]
    return [str(each["id"]) for each in found if each["name"] == name]


async def open_all_filters(page: Page, console: ConsoleServer, look: Look) -> None:
    """Have more filters than are shown, and press for all; each has its count then."""
    say = look.say
    for letter in "ABCDEF":
        await console.api.post("/v1/saved-filters", name=letter, filter={"text": "rosario"})
    await page.goto("/prospects")
    await wait_until_live(page)
    await look.press(page.get_by_text(say("All filters (7)", "Todos los filtros (7)")))
    await expect(page.locator(".all-filters .chip .figure")).to_have_count(7)
    assert not await is_too_wide(page)
    assert await list_axe_violations(page) == []
    await page.goto("/prospects?saved_filter=A")
    await look.press(page.get_by_role("button", name=say("Rename", "Cambiar el nombre")))
    await page.locator("#dialog [name=name]").fill("AA")
    await look.press(page.locator("#dialog .primary"))
    chosen = page.locator(".saved-filters > .chips [aria-current]")
    await expect(chosen).to_have_text("AA 2")
    await look.press(page.get_by_role("button", name=say("Delete", "Borrar")))
    await look.press(page.locator("#dialog .danger"))
    await expect(page.locator(".saved-filters .chip")).to_have_count(6)


@pytest.mark.parametrize("size", SIZES)
async def test_a_filter_is_saved_and_taken_by_a_draft(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Its sentence and its count are the same on both pages; one that is gone says so."""
    look = choose_look(size, 1)
    say = look.say
    other = await console.api.post("/v1/saved-filters", name="Otro", filter={"text": "zzz"})
    async with open_page(browser, console, "/prospects", **look.options) as page:
        await wait_until_live(page)
        await page.locator("#search").fill("rosario")
        note = page.locator("#filter-note [role=status]")
        await expect(note).to_have_text(
            say(
                "People with “rosario” in name, trade, origin or number · 2 people",
                "Personas con «rosario» en nombre, rubro, origen o número · 2 personas",
            )
        )
        await look.press(page.get_by_role("button", name=say("Save this", "Guardar este")))
        await page.locator("#dialog [name=name]").fill(NAME)
        await look.press(page.locator("#dialog .primary"))
        chip = page.locator("#saved-filters [aria-current]")
        await expect(chip).to_have_text(f"{NAME} 2")
        await expect(page.locator("#search")).to_have_value("rosario")
        assert not await is_too_wide(page)
        assert await list_axe_violations(page) == []
        [mine] = await list_ids(console, NAME)
        await console.api.call("DELETE", f"/v1/saved-filters/{mine}")
        await look.press(page.get_by_role("button", name=say("Rename", "Cambiar el nombre")))
        await expect(page.locator("#toasts")).to_contain_text(
            say("There is no such saved filter", "Ese filtro guardado ya no está")
        )
        await console.api.post("/v1/saved-filters", name=NAME, filter={"text": "rosario"})
        [mine] = await list_ids(console, NAME)
        await page.goto(f"/prospects?saved_filter={mine}")
        await look.press(page.get_by_role("button", name=say("Campaign with", "Campaña con")))
        await page.locator("#dialog [name=name]").fill("Marzo")
        await look.press(page.locator("#dialog .primary"))
        chosen = page.locator("#campaign-draft [name=saved_filter]")
        await expect(chosen.locator(":checked")).to_have_text(NAME)
        await wait_until_live(page)
        text = page.locator("[name='audience.text']")
        await text.fill("córdoba")
        await expect(chosen).to_have_value("")
        total = page.locator("#campaign-audience [data-count=all]")
        await expect(total).to_have_text("1")
        await chosen.select_option(NAME)
        await expect(text).to_have_value("rosario")
        await expect(total).to_have_text("2")
        await console.api.call("DELETE", f"/v1/saved-filters/{other.document['id']}")
        await chosen.select_option("Otro")
        await expect(page.locator("#draft-problem")).to_contain_text("no such saved filter")
        await expect(text).to_have_value("rosario")
        assert not await is_too_wide(page)
        assert await list_axe_violations(page) == []
        await page.goto(f"/prospects?saved_filter={other.document['id']}")
        await expect(page.get_by_role("alert")).to_contain_text(
            say("somebody deleted it", "alguien lo borró")
        )
        await open_all_filters(page, console, look)


async def test_an_answer_never_replaces_what_was_typed_meanwhile(
    browser: Browser, console: ConsoleServer
) -> None:
    """And a page that did not touch the audience leaves it as a colleague made it."""
    await console.api.post("/v1/saved-filters", name="Feria", filter={"text": "rosario"})
    made = await console.api.post("/v1/campaigns", name="Marzo")
    id_ = made.document["campaign"]["id"]
    held, answered = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        held.set()
        await answered.wait()
        await route.fulfill(response=answer)

    look = choose_look("laptop", 1)
    async with open_page(browser, console, f"/campaigns/{id_}", **look.options) as page:
        await wait_until_live(page)
        form, text = page.locator("#campaign-draft"), page.locator("[name='audience.text']")
        total = page.locator("#campaign-audience [data-count=all]")
        await page.route(f"**/v1/campaigns/{id_}", hold, times=1)
        await form.locator("[name=saved_filter]").select_option("Feria")
        await held.wait()
        await text.fill("córdoba")
        answered.set()
        await expect(total).to_have_text("1")
        await expect(text).to_have_value("córdoba")
        campaign = (await console.api.get(f"/v1/campaigns/{id_}")).document["campaign"]
        assert campaign["audience"] == {"text": "córdoba"}
        theirs = {"audience": {"text": "ros"}}
        await console.api.call("PATCH", f"/v1/campaigns/{id_}", json=theirs)
        async with page.expect_response(f"**/v1/campaigns/{id_}"):
            await form.locator("[name=name]").fill("Abril")
        campaign = (await console.api.get(f"/v1/campaigns/{id_}")).document["campaign"]
        assert (campaign["name"], campaign["audience"]) == ("Abril", {"text": "ros"})
