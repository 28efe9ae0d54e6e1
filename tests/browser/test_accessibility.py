"""Everybody can use it: nothing serious for axe, in light, dark and at the width of a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from daemon.http.console.navigation import PLACES
from tests.helpers.client.browser import (
    APPEARANCES,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ANA_CSV, ConsoleServer

pytestmark = pytest.mark.timeout(600)  # each looks at every page of the console


async def fill_console(console: ConsoleServer) -> list[str]:
    """Fill the database with what pages can show; return their paths."""
    await console.add_ready_session("soporte")
    await console.start_session("ventas", scan_after=None)
    await console.wait_for_session_state("ventas", {"awaiting_scan"})
    await console.import_list(ANA_CSV, statement="ticked the box")
    order = {"to": "+5491141234567", "text": "Hola Ana", "session": "soporte"}
    reply = await console.api.call("POST", "/v1/messages?wait=verdict", json=order)
    places = [tab.path for place in PLACES for tab in place.tabs]
    return [*places, f"/messages/{reply.document['id']}", "/sessions/ventas", "/sign-in"]


@pytest.mark.parametrize("look", APPEARANCES)
async def test_axe_finds_nothing_serious(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """Names, roles, contrast and order hold on each page, in its dialogs and in a halt."""
    paths = await fill_console(console)
    options = APPEARANCES[look]
    async with open_page(browser, console, "/", **options) as page:
        found = []
        for path in paths:
            await page.goto(path)
            found += await list_axe_violations(page)
        await page.goto("/")
        await wait_until_live(page)
        await page.locator("[data-halt]").click()
        await page.locator("#dialog .danger").wait_for()
        found += await list_axe_violations(page)
        await page.locator("#dialog .danger").click()
        await page.locator("#halt-banner .banner").wait_for()
        found += await list_axe_violations(page)
        await page.locator("#user-menu summary").click()
        found += await list_axe_violations(page)
        assert found == []


@pytest.mark.parametrize("look", APPEARANCES)
async def test_targets_are_large_enough_and_nothing_leaves_the_screen(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """What is pressed is at least 44 px high, a word to unfold 24; no page scrolls sideways."""
    paths = await fill_console(console)
    options = APPEARANCES[look]
    small = """() => [...document.querySelectorAll('button, select, summary, input, nav a, .tick')]
        .filter((each) => each.checkVisibility() && !each.closest('.choices, .check, .tick > *'))
        .filter((each) => each.getBoundingClientRect().height
            < (each.matches('details:not(.menu) > summary') ? 24 : 43.5))
        .map((each) => each.outerHTML.slice(0, 120))"""
    async with open_page(browser, console, "/", **options) as page:
        for path in paths:
            await page.goto(path)
            assert await page.evaluate(small) == [], path
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= options["viewport"]["width"], path
