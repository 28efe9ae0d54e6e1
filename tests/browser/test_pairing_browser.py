"""A phone is linked by a code that is typed on it: what its operator presses, reads and copies."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from daemon.settings import ClockSettings
from tests.helpers.client.browser import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

NUMBER = "+54 9 11 5555-0001"


async def ask_for_code(page: Page, button: str, number: str = NUMBER) -> None:
    """Press the button, give the number, and wait for the code."""
    await page.get_by_role("button", name=button).click()
    await page.locator("#dialog input[name=phone]").fill(number)
    await page.locator("#dialog button.primary").click()


async def test_a_code_is_asked_for_typed_and_settles_to_ready(
    console: ConsoleServer, browser: Browser
) -> None:
    """From the QR, for who has no camera at hand; nothing is loaded again."""
    await console.add_session(scan_after=4)
    async with open_page(browser, console, "/sessions/ventas") as page:
        await wait_until_live(page)
        await page.evaluate("window.sameDocument = true")
        await page.get_by_role("button", name="Start").click()
        await expect(page.locator(".pairing-code svg")).to_be_visible()
        await ask_for_code(page, "Link with a code instead")
        code = page.locator(".typed-code")
        await expect(code).to_have_text(re.compile(r"^\s*[1-9A-Z]{4}-[1-9A-Z]{4}\s*$"))
        await expect(page.locator(".pairing-code svg")).to_have_count(0)
        await expect(page.locator(".countdown-seconds")).to_have_text(re.compile(r"^2:[34]\d$"))
        await expect(page.get_by_text("Waiting for the code to be typed")).to_be_visible()
        await expect(page.get_by_text("Tap “Link with phone number instead”.")).to_be_visible()
        await expect(page.locator('.session [data-state="ready"]')).to_be_visible(timeout=15_000)
        await expect(code).to_have_count(0)
        assert await page.evaluate("window.sameDocument")


async def test_the_way_can_be_changed_and_a_wrong_number_is_told(
    console: ConsoleServer, browser: Browser
) -> None:
    """The problem stands in the dialog; from the code a button leads back to the QR."""
    await console.add_session(scan_after=None)
    async with open_page(browser, console, "/sessions/ventas") as page:
        await wait_until_live(page)
        await ask_for_code(page, "Link with a code instead", "nobody")
        await expect(page.locator("#dialog .problem")).to_contain_text("can't be used")
        await page.locator("#dialog input[name=phone]").fill(NUMBER)
        await page.locator("#dialog button.primary").click()
        await expect(page.locator(".typed-code")).to_be_visible()
        await page.get_by_role("button", name="Show a QR code instead").click()
        await expect(page.locator(".pairing-code svg")).to_be_visible()
        await expect(page.locator(".typed-code")).to_have_count(0)


@pytest.mark.parametrize("viewport", [LAPTOP_VIEWPORT, PHONE_VIEWPORT], ids=["laptop", "phone"])
async def test_it_is_read_in_spanish_and_fits_the_screen(
    console: ConsoleServer, browser: Browser, viewport: dict[str, int]
) -> None:
    """The steps are those of WhatsApp's own menus; nothing leaves the screen sideways."""
    await console.add_session(scan_after=None)
    async with open_page(
        browser, console, "/sessions/ventas", viewport=viewport, locale="es-AR"
    ) as page:
        await wait_until_live(page)
        await ask_for_code(page, "Vincular con un código")
        await expect(page.locator(".typed-code")).to_be_visible()
        for step in ("Abrí WhatsApp", "Dispositivos vinculados", "Vincular con número de teléfono"):
            await expect(page.locator(".steps")).to_contain_text(step)
        assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert await list_axe_violations(page) == []


async def test_a_new_number_is_asked_about_before_it_is_linked(
    browser: Browser, short_folder: Path
) -> None:
    """The phone is added and not started; the answers stand on its page, with who gave them."""
    # On the system's clock: no phone of a real account may run on another.
    settings = msgspec.structs.replace(build_settings(short_folder), clock=ClockSettings())
    async with (
        open_console(settings) as console,
        open_page(browser, console, "/sessions", viewport=PHONE_VIEWPORT) as page,
    ):
        await wait_until_live(page)
        await page.get_by_role("button", name="Add a phone").click()
        await page.get_by_label("Name").fill("ventas")
        await page.get_by_label("How it connects to WhatsApp").select_option("linked")
        await page.get_by_role("button", name="Add and link").click()
        await page.wait_for_url("**/sessions/ventas")
        await wait_until_live(page)
        await expect(page.get_by_role("button", name="Start")).to_have_count(0)
        await page.get_by_role("button", name="Link a phone").click()
        save = page.get_by_role("button", name="Save and link")
        await save.click()
        await expect(save).to_be_visible()  # nothing was chosen yet
        await page.get_by_label("How long has this number").select_option("under_a_month")
        await page.get_by_label("Was a number of yours").select_option("yes")
        await page.get_by_label("When?").fill("2026-01-05")
        assert await list_axe_violations(page) == []
        await save.click()
        about = page.locator("section", has=page.locator("#linking-answers"))
        await expect(about).to_contain_text("Less than a month")
        await expect(about).to_contain_text("Yes, 05 Jan 2026")
        await expect(about).to_contain_text("said by ana")
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE_VIEWPORT["width"]
        assert console.services.sessions.view("ventas").desired == "on"
