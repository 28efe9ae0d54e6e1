"""`make pictures`: docs/images, taken from the running demonstration as a visitor sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from playwright.async_api import Page, ViewportSize

from tests.helpers.client.browser import launch_chromium
from tests.helpers.client.process import DemoProcess, run_demo

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
WINDOW: Final[ViewportSize] = {"width": 1280, "height": 800}
MIDDLE: Final[ViewportSize] = {"width": 1280, "height": 960}
TALL: Final[ViewportSize] = {"width": 1280, "height": 1460}
RATE: Final = 4.0
_QUIET: Final = "#live[data-state=live]"


async def today(page: Page) -> None:
    """What a working day begins with."""
    await page.locator("h1").wait_for()


async def review(page: Page) -> None:
    """The first case of the queue, with its facts and its decisions."""
    await page.goto("/review")
    await page.locator(".decisions").wait_for()


async def message(page: Page) -> None:
    """One that was blocked, and why."""
    await page.goto("/messages?state=blocked")
    await page.locator(".message-row", has_text="They said no").click()
    await page.locator(".verdict").wait_for()
    await page.set_viewport_size(TALL)


async def session(page: Page) -> None:
    """A phone that is being linked: its code on show."""
    await page.goto("/sessions")
    await page.locator("[data-dialog='/pieces/sessions/new']").click()
    await page.locator("#dialog input[name=name]").fill("recepcion")
    await page.locator("#dialog select[name=channel]").select_option("simulated")
    await page.locator("#dialog .primary").click()
    await page.locator(".pairing-code svg").wait_for()


async def answer(page: Page) -> None:
    """Somebody who asked what it costs, and all that is known of them."""
    await page.goto("/prospects?text=Paula+Núñez")
    await page.locator(".prospect-row", has_text="Paula Núñez").click()
    await page.get_by_text("¿Cuánto sale?").first.wait_for()
    await page.set_viewport_size(MIDDLE)


PICTURES: Final[tuple[Callable[[Page], Awaitable[None]], ...]] = (
    today,
    answer,
    review,
    message,
    session,
)


async def take(shown: DemoProcess) -> None:
    """Open the printed link and take each picture in turn, light and without a pointer."""
    async with launch_chromium() as browser:
        base, _, _ = shown.link.partition("/sign-in")
        context = await browser.new_context(
            base_url=base, viewport=WINDOW, locale="en-GB", reduced_motion="reduce"
        )
        page = await context.new_page()
        await page.goto(shown.link)
        await page.locator("#live").wait_for()
        for picture in PICTURES:
            await page.set_viewport_size(WINDOW)
            await picture(page)
            await page.locator(_QUIET).wait_for()
            await page.screenshot(path=IMAGES / f"{picture.__name__}.png")


async def main() -> None:
    """Run the demonstration once and take them all."""
    IMAGES.mkdir(exist_ok=True)
    async with run_demo(RATE) as shown:
        await take(shown)


if __name__ == "__main__":
    asyncio.run(main())
