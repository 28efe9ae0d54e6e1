"""The rules are read where they count: each with its lines, and how often it spoke."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, expect

from tests.browser.harness import Console, looking
from tests.browser.test_access import found_by_axe
from tests.browser.test_console import live
from tests.browser.test_review import ANA, held


async def test_a_rule_shows_its_lines_and_how_often_it_fired(
    console: Console, browser: Browser, folder: Path
) -> None:
    """By keyboard: down to a rule, enter unfolds what stands in the file."""
    await held(console, folder, ANA)
    async with looking(browser, console, "/rules") as page:
        await live(page)
        row = page.locator("tr", has=page.locator("#rule-gate-first_time_relationship"))
        await expect(row.locator("td.figure").first).to_contain_text("1")
        await row.focus()
        await page.keyboard.press("Enter")
        await expect(row.locator("pre")).to_contain_text("hold: true")
        await page.locator("#examples-gate summary").click()
        await expect(page.locator("#examples-gate")).to_contain_text("opt-out beats everything")
        assert await found_by_axe(page) == []
