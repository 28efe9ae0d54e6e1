"""Everybody can use it: nothing serious for axe, in light, dark and at the width of a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import axe_playwright_python
import pytest
from playwright.async_api import Browser, Page

from daemon.http.pages.shell import NAVIGATION
from tests.browser.harness import LAPTOP, PHONE, Console, looking, script_at
from tests.browser.test_console import PEOPLE, live

AXE: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(
    encoding="utf-8"
)
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": LAPTOP, "color_scheme": "light"},
    "dark": {"viewport": LAPTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True, "color_scheme": "light"},
}
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def found_by_axe(page: Page) -> list[str]:
    """Return what axe finds serious or worse, each with its rule and element."""
    await page.evaluate(AXE)
    found: dict[str, Any] = await page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS
    )
    return [
        f"{page.url} {each['id']}: {node['html'][:160]} {node['failureSummary'][:240]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]


async def furnished(console: Console, folder: Path) -> list[str]:
    """Fill a house with what pages can show; return their addresses."""
    await console.ready("soporte")
    await console.started("ventas", script=script_at(folder, {"scan_after": None}))
    await console.state_of("ventas", {"awaiting_scan"})
    await console.import_list(PEOPLE, statement="ticked the box")
    order = {"to": "+5491141234567", "text": "Hola Ana", "session": "soporte"}
    reply = await console.api.call("POST", "/v1/messages?wait=verdict", json=order)
    places = [place.path for place in NAVIGATION]
    return [*places, f"/messages/{reply.document['id']}", "/sessions/ventas", "/sign-in"]


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_serious(
    console: Console, browser: Browser, folder: Path, look: str
) -> None:
    """Names, roles, contrast and order hold on each page, in its dialogs and in a halt."""
    paths = await furnished(console, folder)
    options = LOOKS[look]
    async with looking(browser, console, "/", **options) as page:
        found = []
        for path in paths:
            await page.goto(path)
            found += await found_by_axe(page)
        await page.goto("/")
        await live(page)
        await page.locator("[data-halt]").click()
        await page.locator("#dialog .danger").wait_for()
        found += await found_by_axe(page)
        await page.locator("#dialog .danger").click()
        await page.locator("#halt-banner .banner").wait_for()
        found += await found_by_axe(page)
        await page.locator("#user-menu summary").click()
        found += await found_by_axe(page)
        assert found == []


@pytest.mark.parametrize("look", LOOKS)
async def test_targets_are_large_enough_and_nothing_leaves_the_screen(
    console: Console, browser: Browser, folder: Path, look: str
) -> None:
    """What is pressed is at least 44 px high, a word to unfold 24; no page scrolls sideways."""
    paths = await furnished(console, folder)
    options = LOOKS[look]
    small = """() => [...document.querySelectorAll('button, select, summary, input, nav a')]
        .filter((each) => each.checkVisibility() && !each.closest('.choices, .check'))
        .filter((each) => each.getBoundingClientRect().height
            < (each.matches('details:not(.menu) > summary') ? 24 : 43.5))
        .map((each) => each.outerHTML.slice(0, 120))"""
    async with looking(browser, console, "/", **options) as page:
        for path in paths:
            await page.goto(path)
            assert await page.evaluate(small) == [], path
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= options["viewport"]["width"], path
