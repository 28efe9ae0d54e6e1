"""Pieces are fetched anew all the time: nothing that a person has in hand is lost by it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Browser, Page, expect

from statemachines.message import MessageState
from storage import messages
from tests.helpers.client.browser import open_page, wait_until_live
from tests.helpers.client.console import (
    ANA_ROW,
    BETO_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    build_prospect_csv,
    hold_messages,
    wait_for_message_state,
)

CARLOS = "Carlos;+5491141234569;feria;relación previa\n"
RESTLESS = """() => {
  const again = () => document.querySelectorAll("main [data-live]")
    .forEach((piece) => htmx.trigger(piece, "refresh"));
  setInterval(again, 20);
}"""
SWAPPED = """() => new Promise((done) => {
  let left = 3;
  document.body.addEventListener("htmx:afterSwap", () => (left -= 1) || done());
})"""
"""So many swaps that none of what is looked at is as it was before."""


@contextlib.asynccontextmanager
async def restless(browser: Browser, console: ConsoleServer, path: str) -> AsyncIterator[Page]:
    """Open a page on which each live piece is fetched anew without a pause."""
    async with open_page(browser, console, path) as page:
        await wait_until_live(page)
        await page.evaluate(RESTLESS)
        yield page


async def swapped(page: Page) -> None:
    """Wait until everything was fetched anew some times."""
    await page.evaluate(SWAPPED)


async def walk(page: Page) -> None:
    """Press j and k among the rows; each press counts, however often the rows are fetched."""
    rows = page.locator("main [data-row]:visible")
    for key, at in (("j", 0), ("j", 1), ("k", 0)):
        await page.keyboard.press(key)
        await swapped(page)
        await expect(rows.nth(at)).to_be_focused()


async def test_each_press_counts_while_lists_are_fetched_anew(
    console: ConsoleServer, browser: Browser
) -> None:
    """On Today, in the review and at the desk, j and k go on from where they were."""
    await hold_messages(console, ANA_ROW, BETO_ROW)
    await console.import_list(build_prospect_csv(3))
    for n in range(3):
        order = {"to": f"+54911412345{n:02d}", "text": "Hola"}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        await wait_for_message_state(console, reply.document["id"], {MessageState.CLEARED})
    for path in ("/", "/review", "/manual"):
        async with restless(browser, console, path) as page:
            await walk(page)


async def test_a_row_that_goes_hands_the_focus_to_its_neighbour(
    console: ConsoleServer, browser: Browser
) -> None:
    """Somebody else decides the case in focus: the one that takes its place has the focus."""
    first, second, third = await hold_messages(console, ANA_ROW, BETO_ROW, CARLOS)
    async with restless(browser, console, "/review") as page:
        for _ in range(2):
            await page.keyboard.press("j")
        await expect(page.locator(f"#row-{second}")).to_be_focused()
        await console.services.review.reject(second, "eva", "not today")
        await expect(page.locator(f"#row-{second}")).to_have_count(0)
        await expect(page.locator(f"#row-{third}")).to_be_focused()
        await console.services.review.reject(third, "eva", "not today")
        await expect(page.locator(f"#row-{first}")).to_be_focused()


async def test_what_is_open_typed_and_shown_stays(console: ConsoleServer, browser: Browser) -> None:
    """A menu, a fold, a number that was asked for, a reason half typed, words that are marked."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with restless(browser, console, f"/messages/{message}") as page:
        await page.locator(".reveal").click()
        await page.locator(".verdict summary").click()
        await page.evaluate("getSelection().selectAllChildren(document.querySelector('.bubble'))")
        await swapped(page)
        await expect(page.locator(".reveal")).to_have_text("+5491141234567")
        await expect(page.locator(".verdict details[open]")).to_have_count(1)
        assert await page.evaluate("getSelection().toString()") == "Hola Ana"
        await page.get_by_role("button", name="Cancel message").click()
        await page.locator("#dialog input").press_sequentially("wrong na")
        await swapped(page)
        await page.locator("#dialog input").press_sequentially("me")
        await expect(page.locator("#dialog input")).to_have_value("wrong name")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Cancel message")).to_be_focused()


async def test_a_long_page_keeps_its_place(console: ConsoleServer, browser: Browser) -> None:
    """Whoever has scrolled reads on, and a button that is held down is still pressed."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode(), statement="ticked the box")
    await console.api.post("/v1/sessions", name="ventas", channel="simulated")
    for n in range(30):
        order = {"to": "+5491141234567", "text": f"Hola {n}"}
        await console.api.call("POST", "/v1/messages", json=order)
    async with restless(browser, console, "/messages") as page:
        await page.evaluate("scrollTo(0, 900)")
        await swapped(page)
        assert await page.evaluate("scrollY") == 900
        row = page.locator("main [data-row]").nth(15)
        await row.hover()
        await page.mouse.down()
        await swapped(page)
        await page.mouse.up()
        await page.wait_for_url("**/messages/msg_*")


async def test_what_somebody_else_takes_is_not_pressed_by_mistake(
    console: ConsoleServer, browser: Browser
) -> None:
    """A button that becomes another one while it is held down does nothing."""
    await console.add_ready_session()
    await console.import_list(build_prospect_csv(2))
    found = []
    for n in range(2):
        order = {"to": f"+54911412345{n:02d}", "text": f"Hola {n}"}
        reply = await console.api.call("POST", "/v1/messages", json=order)
        found.append(reply.document["id"])
        await wait_for_message_state(console, found[n], {MessageState.CLEARED})
    async with restless(browser, console, "/manual") as page:
        await page.locator('[data-shortcut="t"]').hover()
        await page.mouse.down()
        await console.services.manual.take(found[0], "eva")
        await expect(page.locator(".in-hand .bubble")).to_have_text("Hola 1")
        await page.mouse.up()
        await swapped(page)
    state = await console.services.database.read(
        lambda r: messages.require_message(r, found[1]).state
    )
    assert state is MessageState.CLEARED
