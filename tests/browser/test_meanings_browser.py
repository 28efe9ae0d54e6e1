"""What they meant, by keyboard: answer, take back, and the next one comes by itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from storage import inbound_reviews
from storage.inbound_reviews import Meaning
from tests.helpers.client.browser import (
    APPEARANCES,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ANA_ROW, PROSPECT_CSV_HEADER, ConsoleServer
from tests.helpers.client.http import DAYTIME, Json

PAST_UNDO = 11_000
"""Milliseconds of the page's clock after which no answer can be taken back any more."""

ANA = "+5491141234567"
VAGUE, ANGRY = "el lunes te digo", "los voy a denunciar"


async def receive(console: ConsoleServer, *texts: str) -> list[str]:
    """Receive messages of Ana; return their ids."""
    if not console.services.sessions.views():
        await console.add_ready_session()
        await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    for text in texts:
        await console.services.signal_handlers.inbound.handle_inbound(
            "ventas", InboundMessage(f"W{hash(text)}", parse_identity(ANA), text, DAYTIME)
        )
    rows = await console.services.database.read(
        lambda r: r.all("SELECT id FROM inbound ORDER BY id")
    )
    return [row["id"] for row in rows]


@contextlib.asynccontextmanager
async def open_meanings_page(
    browser: Browser, console: ConsoleServer, **options: Json
) -> AsyncIterator[Page]:
    """Open the tab, with a clock of the page that a test can turn forward."""
    async with open_page(browser, console, "/sign-in", **options) as page:
        await page.clock.install()
        await page.goto("/review/meanings")
        await wait_until_live(page)
        yield page


async def read_meaning(console: ConsoleServer, message: str) -> Meaning | None:
    """Return what a person said that a message means."""
    found = await console.services.database.read(
        lambda r: inbound_reviews.get_inbound_review(r, message)
    )
    assert found is not None
    return found.meaning


async def test_two_keys_for_two_messages(console: ConsoleServer, browser: Browser) -> None:
    """The complaint first: 4 suppresses, 3 is neither; then that was the last one."""
    vague, angry = await receive(console, VAGUE, ANGRY)
    async with open_meanings_page(browser, console) as page:
        await expect(page.locator("#case mark")).to_have_text(ANGRY)
        await page.keyboard.press("4")
        await expect(page.locator(".toast")).to_contain_text("On the opt-out list")
        await expect(page.locator("#case mark")).to_have_text(VAGUE)
        await page.keyboard.press("3")
        await expect(page.get_by_text("That was the last one")).to_be_visible()
        await page.clock.run_for(PAST_UNDO)
        await expect(page.locator(".tab[aria-current] .figure")).to_have_text("0")
    assert await read_meaning(console, angry) is Meaning.SUPPRESS
    assert await read_meaning(console, vague) is Meaning.NEITHER


async def test_what_is_taken_back_waits_on(console: ConsoleServer, browser: Browser) -> None:
    """Undo within ten seconds: nothing was sent to the server, and the case is back."""
    (vague,) = await receive(console, VAGUE)
    async with open_meanings_page(browser, console) as page:
        await page.keyboard.press("2")
        await expect(page.locator(f'#review-queue [data-case="{vague}"]')).to_be_hidden()
        await page.locator(".toast .button").click()
        await page.clock.run_for(PAST_UNDO)
        await expect(page.locator("#case mark")).to_have_text(VAGUE)
    assert await read_meaning(console, vague) is None


async def test_an_answer_is_changed_later(console: ConsoleServer, browser: Browser) -> None:
    """The wrong key was seen too late to take it back: it stands among the answered."""
    (vague,) = await receive(console, VAGUE)
    async with open_meanings_page(browser, console) as page:
        await page.keyboard.press("2")
        await page.clock.run_for(PAST_UNDO)
        row = page.locator(f'#review-queue [data-case="{vague}"]')
        await expect(row).to_be_visible()
        await row.click()
        await expect(page.locator("#case .banner")).to_contain_text("has classified it: No.")
        await page.keyboard.press("3")
        await page.clock.run_for(PAST_UNDO)
        await expect(page.locator("#case .banner")).to_contain_text("has classified it: Neither.")
    assert await read_meaning(console, vague) is Meaning.NEITHER
    said = await console.services.database.read(
        lambda r: r.all("SELECT detail FROM audit WHERE action = 'classify' ORDER BY rowid")
    )
    assert ["no" in said[0]["detail"], "neither" in said[1]["detail"]] == [True, True]


async def test_a_new_message_appears_by_itself(console: ConsoleServer, browser: Browser) -> None:
    """The count of the tab rises, and the message opens where none was open."""
    await receive(console)
    async with open_meanings_page(browser, console) as page:
        await expect(page.get_by_text("Nothing to read")).to_be_visible()
        await receive(console, VAGUE)
        await expect(page.locator(".tab[aria-current] .figure")).to_have_text("1")
        await expect(page.locator("#case mark")).to_have_text(VAGUE)


@pytest.mark.parametrize("look", APPEARANCES)
async def test_nothing_on_it_is_hard_to_use(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """In each appearance, axe finds nothing."""
    await receive(console, VAGUE, ANGRY)
    async with open_page(browser, console, "/review/meanings", **dict(APPEARANCES[look])) as page:
        assert await list_axe_violations(page) == []


async def test_on_a_phone_the_case_takes_the_screen(
    console: ConsoleServer, browser: Browser
) -> None:
    """The queue first, then the message; nothing is wider than the screen."""
    await receive(console, VAGUE, ANGRY)
    async with open_page(
        browser, console, "/review/meanings", viewport=PHONE_VIEWPORT, has_touch=True
    ) as page:
        await page.locator("#review-queue a").first.click()
        await expect(page.locator("#case mark")).to_have_text(ANGRY)
        await expect(page.locator("#review-queue")).to_be_hidden()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE_VIEWPORT["width"], await page.evaluate(
            "[...document.querySelectorAll('main *')].filter((e) =>"
            " e.getBoundingClientRect().right > 391).map((e) => e.outerHTML.slice(0, 90))"
        )
