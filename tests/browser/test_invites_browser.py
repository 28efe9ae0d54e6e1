"""An invitation in Chromium: created in a dialog, then a sheet to print with its QR code."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import segno
from playwright.async_api import Browser, expect

from tests.helpers.client.browser import (
    PHONE_EN,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

_SMALLEST_PRINT = 150
"""Pixels of a printed page's side of a code, 4 cm: it is read from half a metre away."""


async def test_an_invitation_is_created_and_printed_as_a_sheet(
    browser: Browser, short_folder: Path
) -> None:
    """On paper there is the sheet alone, with the code of its link, dark on white."""
    async with open_console(build_settings(short_folder)) as console:
        await console.add_ready_session("ventas")
        options = {**PHONE_EN, "color_scheme": "dark"}
        async with open_page(browser, console, "/invites", **options) as page:
            await wait_until_live(page)
            await page.locator("[data-dialog='/pieces/invites/new']").tap()
            await page.locator("#dialog [name=name]").fill("Feria La Rural")
            await page.locator("#dialog .primary").tap()
            await page.locator("a.row", has_text="Feria La Rural").tap()
            sheet = page.locator(".invite-sheet")
            [invite] = await console.services.invites.list_invites(limit=9)
            await expect(sheet).to_contain_text(invite.code)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert await list_axe_violations(page) == []
            link = await page.locator("main code").inner_text()
            await page.emulate_media(media="print")
            await expect(sheet).to_be_visible()
            await expect(page.locator("#invite-link")).to_be_hidden()
            await expect(page.locator(".sidebar")).to_be_hidden()
            code = sheet.locator("svg.qr")
            box = await code.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= _SMALLEST_PRINT
            assert abs(box["width"] - box["height"]) < 1
            ground = "getComputedStyle(document.querySelector('svg.qr')).backgroundColor"
            assert await page.evaluate(ground) == "rgb(255, 255, 255)"
            assert read_path(await code.evaluate("(each) => each.outerHTML")) == draw_path(link)


def draw_path(link: str) -> str:
    """Return the path of a link's code, drawn by the library itself."""
    drawn = io.BytesIO()
    segno.make(link, error="l", micro=False).save(drawn, kind="svg", border=4, xmldecl=False)
    return read_path(drawn.getvalue().decode())


def read_path(svg: str) -> str:
    """Return the only path of a drawing."""
    [path] = re.findall(r'<path[^>]* d="([^"]+)"', svg)
    return str(path)
