"""Many rows at once: ticks, a range, all that a filter finds, and one action on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, expect

from statemachines.message import MessageState
from tests.helpers.client.browser import (
    SIZES,
    choose_look,
    is_too_wide,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import (
    ConsoleServer,
    hold_messages,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

PEOPLE: Final = 60


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with more people than a page of the list has room for."""
    async with open_console(build_settings(short_folder)) as made:
        for n in range(PEOPLE):
            entry = {"phone": f"+54911412345{n:02d}", "name": f"Persona {n}"}
            await made.api.post("/v1/prospects", **entry, cartera_origen="guía")
        yield made


@pytest.mark.parametrize("size", SIZES)
async def test_an_action_is_about_all_of_the_filter_and_not_the_visible_page(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The bar names the server's count and five names; a selection that moved is refused."""
    look = choose_look(size, 5)
    async with open_page(browser, console, "/prospects", **look.options) as page:
        await wait_until_live(page)
        ticks, count = page.locator("[data-tick]"), page.locator("#selection-count")
        await ticks.nth(0).check()
        await expect(count).to_contain_text("1")
        await ticks.nth(3).click(modifiers=["Shift"])
        await expect(count).to_contain_text("4")
        assert await ticks.nth(2).is_checked()
        assert await list_axe_violations(page) == []
        assert not await is_too_wide(page)
        await look.press(page.locator("[data-select-all]"))
        await expect(count).to_contain_text(str(PEOPLE))
        await expect(page.locator("#selection-names")).to_contain_text("Persona")
        entry = {"phone": "+5491141239999", "name": "Una más", "cartera_origen": "guía"}
        await console.api.post("/v1/prospects", **entry)
        for refused in (True, False):
            await look.press(page.locator("[data-selected=suppress]"))
            await expect(page.locator("#selection-people")).to_contain_text(
                str(PEOPLE if refused else PEOPLE + 1)
            )
            await page.locator("#dialog [name=reason]").fill("They asked")
            await look.press(page.locator("#dialog .danger"))
            if refused:
                await expect(page.locator("#dialog .problem")).to_contain_text(str(PEOPLE + 1))
                assert await _count_suppressed(console) == 0
                await page.keyboard.press("Escape")
                await look.press(page.locator("[data-select-all]"))
                await expect(count).to_contain_text(str(PEOPLE + 1))
        await expect(page.locator("#toasts .toast")).to_contain_text(str(PEOPLE + 1))
        await expect(page.locator("#selection")).to_be_hidden()
    assert await _count_suppressed(console) == PEOPLE + 1


async def _count_suppressed(console: ConsoleServer) -> int:
    """Return how many people of the list are suppressed."""
    found = (await console.api.get("/v1/prospects?limit=200")).document["items"]
    checks = [await console.api.get(f"/v1/prospects/{each['id']}") for each in found]
    return sum(bool(each.document["suppressed"]) for each in checks)


@pytest.mark.parametrize("size", SIZES)
async def test_messages_are_acted_on_together_and_the_audit_is_exported(
    browser: Browser, short_folder: Path, size: str
) -> None:
    """Ticks stay while the list changes; one that came since makes it another selection."""
    look = choose_look(size, 6)
    rows = [f"Persona {n};+549114123450{n};feria;relación previa\n" for n in range(4)]
    async with (
        open_console(build_settings(short_folder)) as console,
        open_page(browser, console, "/", **look.options) as page,
    ):
        held = await hold_messages(console, *rows[:3])
        await page.goto("/messages?state=held")
        await wait_until_live(page)
        ticks, count = page.locator("[data-tick]"), page.locator("#selection-count")
        await ticks.nth(0).check()
        await ticks.nth(2).click(modifiers=["Shift"])
        await expect(count).to_contain_text("3")
        await console.api.post(f"/v1/review/{held[0]}/reject", reason="not them")
        await expect(ticks).to_have_count(2)
        await expect(page.locator("[data-tick]:checked")).to_have_count(2)
        assert await list_axe_violations(page) == []
        assert not await is_too_wide(page)
        await look.press(page.locator("[data-select-none]"))
        await expect(page.locator("#selection")).to_be_hidden()
        await ticks.nth(0).check()
        await look.press(page.locator("[data-select-all]"))
        await expect(count).to_contain_text("2")
        await look.press(page.locator("[data-selected=approve]"))
        await expect(page.locator("#selection-people")).to_contain_text("Persona")
        await look.press(page.locator("#dialog .primary"))
        await expect(page.locator("#toasts .toast")).to_contain_text("2")
        left = {MessageState.SENT, MessageState.DELIVERED, MessageState.READ}
        for each in held[1:]:
            await wait_for_message_state(console, each, left | {MessageState.DEFERRED})
        await page.goto("/audit?action=approve")
        await wait_until_live(page)
        await ticks.nth(0).check()
        await look.press(page.locator("[data-select-all]"))
        await expect(count).to_contain_text("2")
        assert await list_axe_violations(page) == []
        async with page.expect_download() as started:
            await look.press(page.locator("[data-export]"))
        file = await started.value
        assert file.suggested_filename == "audit.csv"
        stored = (await asyncio.to_thread(Path(await file.path()).read_bytes)).decode()
        assert all(each in stored for each in held[1:])
