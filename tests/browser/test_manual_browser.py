"""Sends by hand: take, open the chat, say how it ended; and what an opt-out does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Route, expect

from statemachines.message import MessageState
from tests.helpers.client.browser import (
    APPEARANCES,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import (
    ConsoleServer,
    queue_manual_messages,
    wait_for_message_state,
)
from tests.helpers.client.http import Json

FORTY = 40
FREE_OF_THE_RING = """() => {
  const words = document.createRange();
  words.selectNodeContents(document.querySelector('.countdown-seconds'));
  const { width, height } = words.getBoundingClientRect();
  const ring = document.querySelector('.countdown .ring');
  const scale = ring.getBoundingClientRect().width / 48;
  const inner = 2 * (21 * scale) - parseFloat(getComputedStyle(ring).strokeWidth) * scale;
  return inner - Math.hypot(width, height / 2);
}"""
"""Pixels between the ring and the corners of its words; less than none where they touch."""


@asynccontextmanager
async def at_the_desk(
    browser: Browser, console: ConsoleServer, **options: Json
) -> AsyncIterator[Page]:
    """Open the page; a chat that it opens is a blank page, for nothing leaves this machine."""
    async with open_page(browser, console, "/manual", **options) as page:

        async def blank(route: Route) -> None:
            await route.fulfill(body="<title>chat</title>", content_type="text/html")

        await page.context.route("https://wa.me/**", blank)
        await wait_until_live(page)
        yield page


async def test_a_manual_send_is_worked_through_by_keyboard(
    console: ConsoleServer, browser: Browser
) -> None:
    """Keys: t takes it, o opens the chat in a tab that can't reach back, y says it was sent."""
    (message,) = await queue_manual_messages(console, 1)
    async with at_the_desk(browser, console) as page:
        await page.keyboard.press("t")
        await expect(page.locator(".countdown-seconds")).to_contain_text(":")
        assert await page.evaluate(FREE_OF_THE_RING) > 0
        async with page.context.expect_page() as opening:
            await page.keyboard.press("o")
        chat = await opening.value
        assert chat.url.startswith("https://wa.me/54911412345")
        assert await chat.evaluate("window.opener") is None
        again = page.get_by_role("link", name="Open the chat again")
        await expect(again).to_have_attribute("rel", "noopener noreferrer")
        await page.keyboard.press("y")
        found = await wait_for_message_state(console, message, {MessageState.CONFIRMED_BY_HAND})
        await expect(page.get_by_text("Nothing to send by hand")).to_be_visible()
    assert (found.taken_by, found.sent_at, found.wire_id) == ("ana", None, None)


@pytest.mark.timeout(300)
async def test_forty_go_by_three_keys_each(console: ConsoleServer, browser: Browser) -> None:
    """Nobody touches a mouse, and nothing has to be waited for but the next one."""
    found = await queue_manual_messages(console, FORTY)
    async with at_the_desk(browser, console) as page:
        for _ in range(FORTY):
            await page.keyboard.press("t")
            await page.locator('#manual [data-shortcut="o"]').wait_for()
            async with page.context.expect_page() as opening:
                await page.keyboard.press("o")
            await (await opening.value).close()  # as people do: forty tabs are a browser's work
            await page.locator('#manual [data-shortcut="y"]').wait_for()
            await page.keyboard.press("y")
            await page.locator('#manual [data-shortcut="y"]').wait_for(state="detached")
    for each in found:
        await wait_for_message_state(console, each, {MessageState.CONFIRMED_BY_HAND})


async def test_an_own_deed_is_shown_at_once(console: ConsoleServer, browser: Browser) -> None:
    """A piece rests between two fetches; whoever pressed a key does not wait for that."""
    await queue_manual_messages(console, 2)
    async with at_the_desk(browser, console) as page:
        await page.clock.install()
        await page.reload()
        await wait_until_live(page)
        await page.clock.pause_at(await page.evaluate("Date.now() + 1000"))
        for key, shown in (("t", "o"), ("o", "y"), ("y", "t")):
            await page.keyboard.press(key)
            await page.locator(f'#manual [data-shortcut="{shown}"]').wait_for(timeout=10_000)
            await page.clock.run_for(50)  # a swap settles in 20 ms; a rest takes 400


async def test_what_was_not_sent_is_over_with_its_reason(
    console: ConsoleServer, browser: Browser
) -> None:
    """Key n asks why; the message is cancelled and nobody else sends it."""
    (message,) = await queue_manual_messages(console, 1)
    async with at_the_desk(browser, console) as page:
        await page.keyboard.press("t")
        await page.locator('[data-shortcut="o"]').wait_for()
        await page.keyboard.press("o")
        await page.locator('[data-shortcut="n"]').wait_for()
        await page.keyboard.press("n")
        await page.get_by_role("button", name="They are not on WhatsApp").click()
        await page.keyboard.press("Enter")
        found = await wait_for_message_state(console, message, {MessageState.CANCELLED})
    assert (found.reason_code, found.sentence) == ("not_sent", "They are not on WhatsApp")


@pytest.mark.parametrize("opened", [False, True])
async def test_after_an_opt_out_it_says_do_not_send(
    console: ConsoleServer, browser: Browser, *, opened: bool
) -> None:
    """Whether the chat was open or not: nothing is left that would send."""
    (message,) = await queue_manual_messages(console, 1)
    async with at_the_desk(browser, console) as page:
        await page.keyboard.press("t")
        await page.locator('[data-shortcut="o"]').wait_for()
        if opened:
            await page.keyboard.press("o")
            await page.locator('[data-shortcut="y"]').wait_for()
        contact = (await wait_for_message_state(console, message, set(MessageState))).contact
        order = {"phone": contact, "reason": "asked on the phone"}
        await console.api.call("POST", "/v1/suppressions", json=order)
        await expect(page.locator("#manual .banner")).to_contain_text("Do not send it.")
        await expect(page.get_by_role("link", name="Open the chat again")).to_have_count(0)
        await expect(page.locator('#manual [data-shortcut="o"]')).to_have_count(0)


@pytest.mark.parametrize("look", APPEARANCES)
async def test_axe_finds_nothing_serious_at_the_desk(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """The next one, the one in hand, and the question how it ended."""
    await queue_manual_messages(console, 2)
    async with at_the_desk(browser, console, **dict(APPEARANCES[look])) as page:
        found = await list_axe_violations(page)
        await page.locator('[data-shortcut="t"]').click()
        await page.locator('[data-shortcut="o"]').click()
        await page.locator('[data-shortcut="n"]').wait_for()
        found += await list_axe_violations(page)
        await page.locator('[data-shortcut="n"]').click()
        await expect(page.locator("#dialog[open]")).to_be_visible()
        assert found + await list_axe_violations(page) == []
