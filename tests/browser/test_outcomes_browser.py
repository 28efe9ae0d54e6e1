"""Outcomes in Chromium: two taps from any list, their undo, and who may write to somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from storage import clients, outcomes
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord
from tests.helpers.client.browser import (
    LAPTOP_ES,
    PHONE_EN,
    is_too_wide,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow

PAULA: Final = "+5491141234567"


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a prospect who got a message and answered that they are interested."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas")
        entry = {"phone": PAULA, "name": "Paula Núñez", "cartera_origen": "feria"}
        await made.api.post("/v1/prospects", **entry, permission="relationship")
        await receive(made, "Sí, me interesa. ¿Cuánto sale?")
        yield made


async def receive(console: ConsoleServer, text: str) -> None:
    """Receive a message of Paula's, written now."""
    signal = InboundMessage(f"W{text}", parse_identity(PAULA), text, console.services.clock.now())
    await console.services.signal_handlers.inbound.handle_inbound("ventas", signal)


async def get_paula(console: ConsoleServer) -> ProspectRecord:
    """Return the prospect."""
    [found] = await console.services.database.read(list_prospects)
    return found


async def list_standing(console: ConsoleServer) -> list[Outcome]:
    """Return her outcomes that nothing took back."""
    contact = (await get_paula(console)).contact
    found = await console.services.database.read(
        lambda r: outcomes.list_contact_outcomes(r, contact)
    )
    return [each.outcome for each in found]


async def press_undo(page: Page) -> None:
    """Take back what the last toast is about."""
    async with page.expect_response(lambda each: each.url.endswith("/outcome/undo")):
        await page.locator("#toasts button").last.click()


async def test_an_outcome_is_two_taps_away_from_each_list(
    browser: Browser, console: ConsoleServer
) -> None:
    """On a phone: chats, prospects and messages; the row, then the outcome; each is undone."""
    sent = await console.api.post("/v1/messages", to=PAULA, text="Sale mil", session="ventas")
    lists = ("/chats?tab=all", "/prospects", "/messages")  # she waits no more once it left
    assert sent.status == 202
    async with open_page(browser, console, "/", **PHONE_EN) as page:
        for path in lists:
            await page.goto(path)
            await wait_until_live(page)
            taps = 0
            for tapped in (
                page.locator("#chat-list a, main [data-row]").first,
                page.get_by_role("button", name="Interested", exact=False).first,
            ):
                await tapped.tap()
                taps += 1
            await expect(page.locator("#toasts button")).to_be_visible()
            assert (taps, await list_standing(console)) == (2, [Outcome.INTERESTED]), path
            await press_undo(page)
            assert await list_standing(console) == [], path
            assert not await is_too_wide(page), path
            assert await list_axe_violations(page) == []


async def test_a_list_is_classified_by_keys(browser: Browser, console: ConsoleServer) -> None:
    """`j`, then a digit; letters in the search field are text; and by hand what no message says."""
    async with open_page(browser, console, "/prospects", **LAPTOP_ES) as page:
        await wait_until_live(page)
        await page.locator("#search").press("1")
        assert await list_standing(console) == []
        await page.goto("/prospects")
        await page.keyboard.press("j")
        await page.keyboard.press("2")
        await expect(page.locator("#toasts")).to_contain_text(
            "Paula Núñez: Anotado: no le interesa"
        )
        assert await list_standing(console) == [Outcome.NOT_INTERESTED]
        await press_undo(page)
        await page.locator("main [data-row]").first.press("Enter")
        await page.get_by_role("button", name="Anotar otro resultado").click()
        await page.get_by_label("El número no existe").check()
        await page.get_by_label("Cómo lo sabés").fill("Lo dice la operadora")
        assert await list_axe_violations(page) == []
        await page.get_by_role("button", name="Anotar", exact=True).click()
        await expect(page.locator("#outcomes + .outcomes + .evidence")).to_contain_text(
            "Lo dice la operadora"
        )
    assert (await get_paula(console)).validado_tecnicamente is False


@pytest.mark.parametrize("where", [LAPTOP_ES, PHONE_EN], ids=["laptop", "phone"])
async def test_one_button_asks_who_may_write_and_a_person_records_the_answer(
    browser: Browser, console: ConsoleServer, where: dict[str, Any]
) -> None:
    """After interest: the client, the question, their answer with its message as evidence."""
    spanish = where is LAPTOP_ES
    contact = (await get_paula(console)).contact
    async with open_page(browser, console, f"/chats/{contact}", **where) as page:
        await wait_until_live(page)
        await expect(page.locator("#sharing-title")).to_have_count(0)
        await console.services.outcomes.record(contact, Outcome.INTERESTED, "eva")
        await page.get_by_role(
            "button", name="Agregar cliente" if spanish else "Add a client"
        ).click()
        await page.locator("#dialog input[name=name]").fill("Dentalia SA")
        await page.locator("#dialog .primary").click()
        await page.reload()
        await page.locator("#set-intent [value=asked]").click()
        await expect(page.locator("#set-intent [value=asked]")).to_have_attribute(
            "aria-pressed", "true"
        )
        await page.locator("[id^=ask-] button").click()
        await expect(page.locator(".sharing [data-state=asked]")).to_be_visible()
        await receive(console, "Sí, que me escriban")
        await expect(page.locator("#talk-lines .theirs")).to_have_count(2)
        await page.locator(".sharing [data-dialog*='/share/']").click()
        assert await list_axe_violations(page) == []
        await page.locator("#dialog [name=allowed][value=true]").check()
        await page.locator("#dialog .primary").click()
        await expect(page.locator(".sharing [data-state=allowed]")).to_be_visible()
        assert not await is_too_wide(page)
        assert await list_axe_violations(page) == []
    [share] = await console.services.database.read(lambda r: clients.list_client_shares(r, contact))
    assert (share.allowed, share.quote) == (True, "Sí, que me escriban")
    assert (await get_paula(console)).intent == "asked"
