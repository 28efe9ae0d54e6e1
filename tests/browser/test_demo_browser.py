"""The demonstration as a newcomer meets it: one link, a browser, and no documentation."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect
from yarl import URL

from tests.helpers.client.browser import LAPTOP_VIEWPORT, wait_until_live
from tests.helpers.client.process import DemoProcess, run_demo

RATE = 5
"""How much faster than a watch the demonstration's clock goes; a code is on show for 1.6 s."""
ENOUGH = 45_000
"""Milliseconds that a stranger waits for anything."""


@contextlib.asynccontextmanager
async def a_stranger(browser: Browser, shown: DemoProcess) -> AsyncIterator[Page]:
    """Open the printed link; whatever a page complains of fails, and no chat leaves the machine."""
    context: BrowserContext = await browser.new_context(viewport=LAPTOP_VIEWPORT, locale="en-GB")

    async def chat(route: Route) -> None:
        await route.fulfill(body="<title>chat</title>", content_type="text/html")

    await context.route("https://wa.me/**", chat)
    context.set_default_timeout(ENOUGH)
    page, complaints = await context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    try:
        await page.goto(shown.link)
        await expect(page.locator("h1")).to_contain_text("You can send")
        await wait_until_live(page)
        yield page
    finally:
        await context.close()
    assert complaints == []


async def at(page: Page, place: str, tab: str = "") -> None:
    """Go to a place by its name in the navigation, and there to a tab."""
    pages = page.get_by_role("navigation", name="Pages")
    await pages.get_by_role("link", name=re.compile(f"^{place}")).click()
    await expect(pages.locator('[aria-current="page"]')).to_contain_text(place)
    if tab:
        tabs = page.locator("main nav")
        await tabs.get_by_role("link", name=re.compile(f"^{tab}")).click()
        await expect(tabs.locator('[aria-current="page"]')).to_contain_text(tab)
    await wait_until_live(page)


async def links_a_phone(page: Page) -> None:
    """Add a session; its code comes, is scanned, and the card says ready in the same document."""
    await at(page, "Phones")
    await page.get_by_role("button", name="Add a phone").click()
    await page.get_by_label("Name").fill("recepcion")
    await page.get_by_label("How it connects to WhatsApp").select_option("simulated")
    await page.get_by_role("button", name="Add and link").click()
    card = page.locator("#session-recepcion")
    await expect(card.locator(".pairing-code svg")).to_be_in_viewport(ratio=1)
    await wait_until_live(page)
    await page.evaluate("window.sameDocument = true")
    await expect(card.locator('[data-state="ready"]')).to_be_visible(timeout=ENOUGH)
    assert await page.evaluate("window.sameDocument")


async def validates_three(page: Page) -> None:
    """Give a word and a reason on three numbers that only a person can find out about."""
    await at(page, "Review", "Numbers")
    numbers = page.locator("section", has=page.get_by_role("heading", name="Numbers to validate"))
    for reason in ("I called the number", "I saw their WhatsApp profile", "my own client"):
        first = numbers.locator(".queue-row:visible").first
        name = await first.locator("strong").inner_text()
        row = numbers.locator(f'[data-case="{await first.get_attribute("data-case")}"]')
        await first.click()
        await expect(page.locator("#case-name")).to_have_text(name)
        await page.locator(".decisions").get_by_role("button", name="Validate").click()
        await page.get_by_label("How do you know?").fill(reason)
        await page.get_by_role("button", name="Yes, it works").click()
        await expect(row).to_be_hidden()


async def sends_one_by_hand(page: Page) -> None:
    """Take the next one, open its chat in another tab, and say that it was sent."""
    await at(page, "Review", "By hand")
    await page.get_by_role("button", name="Take it").click()
    async with page.context.expect_page() as opening:
        await page.get_by_role("button", name=re.compile("^Open the chat")).click()
    chat = await opening.value
    assert chat.url.startswith("https://wa.me/549")
    await chat.close()
    await page.get_by_role("button", name="I sent it").click()
    await expect(page.get_by_text("Nothing to send by hand")).to_be_visible()


async def sees_why_one_was_blocked(page: Page) -> None:
    """From the list to the sentence, the rule and what would change it."""
    await at(page, "Chats", "Messages")
    await page.get_by_label("State").select_option(label="Blocked (3)")
    await page.get_by_role("link", name=re.compile("They said no")).click()
    verdict = page.locator(".verdict")
    await expect(verdict).to_contain_text("They said no")
    await verdict.get_by_text("Which rule?").first.click()
    await expect(verdict).to_contain_text("refused")
    await expect(verdict).to_contain_text("What would change it")


async def changes_a_rule_and_undoes_it(page: Page, folder: Path) -> None:
    """By form: tried on past messages, written, accepted; the undoing takes it out of the file."""
    file = folder / "rules.d" / "gate.yaml"
    await at(page, "Settings", "Rules")
    await page.get_by_role("button", name="Change allow", exact=True).click()
    await page.locator("#number-value").fill("90")
    await page.get_by_role("button", name="See which decisions change").click()
    await page.get_by_label("Why?").fill("look at more of them first")
    async with page.expect_event("load"):  # the page shows the change before it loads itself anew
        await page.locator("#dialog").get_by_role("button", name="Change 70 to 90").click()
    state = page.locator(".ruleset-admin")
    await state.get_by_role("button", name="Accept").click()
    await page.get_by_label("Why?").fill("agreed with sales")
    async with page.expect_event("load"):
        await page.locator("#dialog").get_by_role("button", name="Accept").click()
    await expect(page.locator("#ruleset-gate ~ .thresholds")).to_contain_text("from 90")
    assert "90" in await asyncio.to_thread(file.read_text, encoding="utf-8")
    await page.locator("#rules-history summary").click()
    await page.get_by_role("button", name="Roll back to this").last.click()
    await page.get_by_label("Why?").fill("too careful")
    async with page.expect_event("load"):
        await page.locator("#dialog").get_by_role("button", name="Roll back to this").click()
    await expect(page.locator("#ruleset-gate ~ .thresholds")).to_contain_text("from 70")
    await expect(state.locator('[data-state="live"]')).to_be_visible()
    assert not file.exists()


async def stops_everything(page: Page) -> None:
    """One red button, one question; then every page says who stopped it."""
    await wait_until_live(page)
    await page.get_by_role("button", name="Stop all").click()
    await page.get_by_role("button", name="Stop all sending").click()
    await expect(page.locator("#halt-banner")).to_contain_text("visitor stopped all sending")
    await expect(page.locator("[data-halt]")).to_have_text("Stopped")
    await at(page, "Today")
    await expect(page.locator("h1")).to_contain_text("All sending has been stopped")


async def kept(shown: DemoProcess) -> dict[str, list[str]]:
    """Return what the audit holds of the visitor: for each action its reasons, newest first."""
    page = await asyncio.to_thread(shown.client.get, "audit", who="visitor", limit=50)
    found: dict[str, list[str]] = {}
    for entry in (line["entry"] for line in page["items"]):
        found.setdefault(entry["action"], []).append(entry["reason"])
    return found


@pytest.mark.timeout(400)
async def test_a_stranger_needs_no_documentation(browser: Browser) -> None:
    """Links, validates, sends, sees one blocked, changes a rule, stops all; no trace is left."""
    async with run_demo(RATE) as shown:
        async with a_stranger(browser, shown) as page:
            await links_a_phone(page)
            await validates_three(page)
            await sends_one_by_hand(page)
            await sees_why_one_was_blocked(page)
            await changes_a_rule_and_undoes_it(page, shown.folder)
            await stops_everything(page)
            audit = await kept(shown)
        assert await shown.interrupt() == 0
    assert set(audit["validate_by_hand"]) >= {"I called the number", "my own client"}
    assert {"session_created", "session_started", "halt"} <= set(audit)
    assert "End of the demonstration." in shown.output
    assert not shown.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", URL(shown.link).port)
