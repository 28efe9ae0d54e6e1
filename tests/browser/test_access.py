"""Everybody can use it: nothing serious for axe, in light, dark and at the width of a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import axe_playwright_python
import pytest
from playwright.async_api import Browser, Page

from daemon.http.pages.shell import NAVIGATION
from tests.browser.harness import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    ConsoleServer,
    open_page,
    write_phone_script,
)
from tests.browser.test_console import ANA_CSV, wait_until_live

AXE_SCRIPT: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(
    encoding="utf-8"
)
APPEARANCES: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": LAPTOP_VIEWPORT, "color_scheme": "light"},
    "dark": {"viewport": LAPTOP_VIEWPORT, "color_scheme": "dark"},
    "phone": {"viewport": PHONE_VIEWPORT, "has_touch": True, "color_scheme": "light"},
}
AXE_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def list_axe_violations(page: Page) -> list[str]:
    """Return what axe finds serious or worse, each with its rule and element."""
    await page.evaluate(AXE_SCRIPT)
    found: dict[str, Any] = await page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", AXE_TAGS
    )
    return [
        f"{page.url} {each['id']}: {node['html'][:160]} {node['failureSummary'][:240]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]


async def fill_console(console: ConsoleServer, folder: Path) -> list[str]:
    """Fill a house with what pages can show; return their addresses."""
    await console.add_ready_session("soporte")
    await console.start_session("ventas", script=write_phone_script(folder, {"scan_after": None}))
    await console.wait_for_session_state("ventas", {"awaiting_scan"})
    await console.import_list(ANA_CSV, statement="ticked the box")
    order = {"to": "+5491141234567", "text": "Hola Ana", "session": "soporte"}
    reply = await console.api.call("POST", "/v1/messages?wait=verdict", json=order)
    places = [place.path for place in NAVIGATION]
    return [*places, f"/messages/{reply.document['id']}", "/sessions/ventas", "/sign-in"]


@pytest.mark.parametrize("look", APPEARANCES)
async def test_axe_finds_nothing_serious(
    console: ConsoleServer, browser: Browser, folder: Path, look: str
) -> None:
    """Names, roles, contrast and order hold on each page, in its dialogs and in a halt."""
    paths = await fill_console(console, folder)
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
    console: ConsoleServer, browser: Browser, folder: Path, look: str
) -> None:
    """What is pressed is at least 44 px high, a word to unfold 24; no page scrolls sideways."""
    paths = await fill_console(console, folder)
    options = APPEARANCES[look]
    small = """() => [...document.querySelectorAll('button, select, summary, input, nav a')]
        .filter((each) => each.checkVisibility() && !each.closest('.choices, .check'))
        .filter((each) => each.getBoundingClientRect().height
            < (each.matches('details:not(.menu) > summary') ? 24 : 43.5))
        .map((each) => each.outerHTML.slice(0, 120))"""
    async with open_page(browser, console, "/", **options) as page:
        for path in paths:
            await page.goto(path)
            assert await page.evaluate(small) == [], path
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= options["viewport"]["width"], path
