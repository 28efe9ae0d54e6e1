"""A phone is linked by a code that is typed on it: what its operator presses, reads and copies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.helpers.client.browser import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, write_phone_script

NUMBER = "+54 9 11 5555-0001"


async def ask_for_code(page: Page, button: str, number: str = NUMBER) -> None:
    """Press the button, give the number, and wait for the code."""
    await page.get_by_role("button", name=button).click()
    await page.locator("#dialog input[name=phone]").fill(number)
    await page.locator("#dialog button.primary").click()


async def test_a_code_is_asked_for_typed_and_settles_to_ready(
    console: ConsoleServer, browser: Browser, short_folder: Path
) -> None:
    """From the QR, for who has no camera at hand; nothing is loaded again."""
    script = write_phone_script(short_folder, {"scan_after": 4})
    await console.api.post(
        "/v1/sessions", name="ventas", channel="simulated", options={"script": script}
    )
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
    console: ConsoleServer, browser: Browser, short_folder: Path
) -> None:
    """The problem stands in the dialog; from the code a button leads back to the QR."""
    script = write_phone_script(short_folder, {"scan_after": None})
    await console.api.post(
        "/v1/sessions", name="ventas", channel="simulated", options={"script": script}
    )
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
    console: ConsoleServer, browser: Browser, short_folder: Path, viewport: dict[str, int]
) -> None:
    """The steps are those of WhatsApp's own menus; nothing leaves the screen sideways."""
    script = write_phone_script(short_folder, {"scan_after": None})
    await console.api.post(
        "/v1/sessions", name="ventas", channel="simulated", options={"script": script}
    )
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
