"""The rules are read where they count: each with its lines, and how often it spoke."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from tests.helpers.client.browser import list_axe_violations, open_page, wait_until_live
from tests.helpers.client.console import ANA_ROW, ConsoleServer, hold_messages


async def test_a_rule_shows_its_lines_and_how_often_it_fired(
    console: ConsoleServer, browser: Browser
) -> None:
    """By keyboard: down to a rule, enter unfolds what stands in the file."""
    await hold_messages(console, ANA_ROW)
    async with open_page(browser, console, "/rules") as page:
        await wait_until_live(page)
        row = page.locator("tr", has=page.locator("#rule-gate-first_time_relationship"))
        await expect(row.locator("td.figure").first).to_contain_text("1")
        await row.focus()
        await page.keyboard.press("Enter")
        await expect(row.locator("pre")).to_contain_text("hold: true")
        await page.locator("#examples-gate summary").click()
        await expect(page.locator("#examples-gate")).to_contain_text("opt-out beats everything")
        assert await list_axe_violations(page) == []
