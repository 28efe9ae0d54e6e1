"""Chromium on the console: opens pages, and checks them with axe and for policy violations."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import axe_playwright_python
from playwright.async_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.helpers.client.console import ConsoleServer
from tests.helpers.client.http import Json

CHROMIUM: Final = "/usr/bin/chromium"
# Chromium does not start with its sandbox as root, as which containers run tests.
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LAPTOP_VIEWPORT: Final[ViewportSize] = {"width": 1280, "height": 860}
PHONE_VIEWPORT: Final[ViewportSize] = {"width": 390, "height": 844}
LAPTOP_ES: Final[dict[str, Any]] = {"viewport": LAPTOP_VIEWPORT, "locale": "es-AR"}
PHONE_EN: Final[dict[str, Any]] = {
    "viewport": PHONE_VIEWPORT,
    "locale": "en-GB",
    "has_touch": True,
}
EXPECT_TIMEOUT_MS: Final = 20_000
"""How long an expectation may take on a busy machine, in milliseconds."""

expect.set_options(timeout=EXPECT_TIMEOUT_MS)


@contextlib.asynccontextmanager
async def launch_chromium() -> AsyncIterator[Browser]:
    """Start Debian's Chromium without its own background requests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def open_page(
    browser: Browser, console: ConsoleServer, path: str = "/", **options: Json
) -> AsyncIterator[Page]:
    """Open a page; fail for any script error and any violation of the security policy."""
    context: BrowserContext = await browser.new_context(
        base_url=console.url, **{"viewport": LAPTOP_VIEWPORT, "locale": "en-GB", **options}
    )
    complaints: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: complaints.append(line.text) if "Content Security" in line.text else None,
    )
    try:
        await page.goto(path)
        yield page
    finally:
        await context.close()
    # Not in the `finally`, where it would replace the test's own failure.
    assert complaints == []


async def wait_until_live(page: Page) -> None:
    """Wait until the page is subscribed to the event stream."""
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")


AXE_SCRIPT: Final = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(
    encoding="utf-8"
)


APPEARANCES: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": LAPTOP_VIEWPORT, "color_scheme": "light"},
    "dark_phone": {"viewport": PHONE_VIEWPORT, "has_touch": True, "color_scheme": "dark"},
}


AXE_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def is_too_wide(page: Page) -> bool:
    """Return whether a page has to be scrolled sideways."""
    found: bool = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return found


async def list_axe_violations(page: Page) -> list[str]:
    """Return axe's serious and critical findings, each with rule and element."""
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


SIZES: Final = ("laptop", "phone")
_VIEWPORTS: Final[dict[str, ViewportSize]] = {
    "laptop": {"width": 1280, "height": 800},
    "phone": PHONE_VIEWPORT,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a promise of the console is looked at: size, language, and by keys or by a pointer."""

    size: str
    spanish: bool
    by_keys: bool

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of a page that is looked at so."""
        locale = "es-AR" if self.spanish else "en-GB"
        touch = {"has_touch": True} if self.size == "phone" else {}
        return {"viewport": _VIEWPORTS[self.size], "locale": locale, **touch}

    def say(self, english: str, spanish: str) -> str:
        """Return the words of the language that is shown."""
        return spanish if self.spanish else english

    async def press(self, target: Locator) -> None:
        """Press something, by the pointer or by the keyboard."""
        if self.by_keys:
            await target.focus()
            await target.press("Enter")
        elif self.size == "phone":
            await target.tap()
        else:
            await target.click()


def choose_look(size: str, number: int) -> Look:
    """Return how the promise of a number is looked at on a size.

    On the other size it has the other language and the other hand, so that each promise meets
    both languages, and both the keyboard and the pointer.
    """
    odd = number % 2 == 1
    return Look(size, spanish=odd is (size == "laptop"), by_keys=odd is (size == "laptop"))
