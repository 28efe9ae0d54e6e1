"""Deliveries in Chromium, twice: on a laptop by keys in Spanish, on a phone by taps in English."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.deliveries.service import DeliveryRequest
from storage.client_terms import USUAL_COLUMNS, DeliveryTerms
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource
from tests.helpers.client.browser import (
    LAPTOP_VIEWPORT,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings
from tests.helpers.services.database import list_prospects

pytestmark = pytest.mark.slow

PEOPLE: Final = {
    "Paula": "+5491141234561",
    "José": "+5491141234562",
    "Íñigo": "+5491141234563",
    "Eva": "+5491141234564",
}
TERMS: Final = DeliveryTerms(
    price_cents=100,
    currency="ARS",
    dispute_days=7,
    reasons=("x",),
    exclusive_days=0,
    columns=USUAL_COLUMNS,
    silence_accepts=False,
    language="es",
)
LAPTOP_ES: Final[dict[str, Any]] = {"viewport": LAPTOP_VIEWPORT, "locale": "es-AR"}
PHONE_EN: Final[dict[str, Any]] = {
    "viewport": PHONE_VIEWPORT,
    "locale": "en-GB",
    "has_touch": True,
}


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with four people who wrote; three are ready, of Eva a proposal alone."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas")
        client = await made.services.sharing.add_client("Dentalia SA", "eva")
        for name, phone in PEOPLE.items():
            order = {"phone": phone, "cartera_origen": "feria", "permission": "relationship"}
            await made.api.post("/v1/prospects", name=name, **order)
            signal = InboundMessage(
                f"W{name}", parse_identity(phone), "¿Cuánto sale?", made.services.clock.now()
            )
            await made.services.signal_handlers.inbound.handle_inbound("ventas", signal)
            prospect = await find_person(made, name)
            await made.services.validation.set_by_hand(
                prospect.id, validated=True, who="eva", reason="she answered"
            )
            await made.services.sharing.record_answer(
                prospect.contact, client.id, "eva", allowed=name != "Íñigo"
            )
            if name != "Eva":
                await made.services.outcomes.record(prospect.contact, Outcome.INTERESTED, "eva")
        yield made


async def find_person(console: ConsoleServer, name: str) -> ProspectRecord:
    """Return a prospect by name."""
    found = await console.services.database.read(list_prospects)
    return next(each for each in found if each.name == name)


async def press(page: Page, target: Locator, way: dict[str, Any]) -> None:
    """Press a button: by the keyboard on the laptop, by a tap on the phone."""
    if way is PHONE_EN:
        await target.tap()
        return
    await target.focus()
    await page.keyboard.press("Enter")


async def press_in_row(page: Page, number: int, key: str, way: dict[str, Any]) -> None:
    """Do something with a row: by its letter on the laptop, by its button on the phone."""
    row = page.locator(f"#row-{number}")
    if way is PHONE_EN:
        await row.locator(f"[data-row-key={key}]").tap()
        return
    await row.focus()
    await page.keyboard.press(key)


async def look_at(page: Page) -> None:
    """Check that nothing overflows, and that axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await list_axe_violations(page) == []


async def expect_states(page: Page, *states: str) -> None:
    """Wait until the rows are in these states, in order."""
    for number, state in enumerate(states, 1):
        row = page.locator(f"#row-{number}")
        await expect(row).to_have_attribute("data-row-state", state)


async def agree_and_freeze(page: Page, way: dict[str, Any]) -> None:
    """Set the terms of the client, see who is left out and why, and freeze the rest."""
    await press(page, page.locator("[data-dialog$='/terms']"), way)
    await page.locator("#dialog [name=price_cents]").fill("4500.50")
    await page.locator("#dialog [name=reasons]").fill("Ya era cliente\nNo contesta")
    await look_at(page)
    await press(page, page.locator("#dialog .primary"), way)
    await press(page, page.locator("a[href^='/deliveries/new']"), way)
    await expect(page.locator(".left-out")).to_have_count(2)
    await expect(page.locator("[data-reason=not_confirmed]")).to_contain_text("Eva")
    await expect(page.locator("[data-reason=sharing_refused]")).to_contain_text("Íñigo")
    await look_at(page)
    await press(page, page.locator("#freeze .primary"), way)
    await press(page, page.locator("main a[href^='/deliveries/del_']"), way)
    await expect_states(page, "delivered", "delivered")


async def settle_rows(page: Page, console: ConsoleServer, way: dict[str, Any]) -> None:
    """Accept one row, dispute the other, give Eva for it, and accept hers."""
    await press_in_row(page, 1, "a", way)
    await expect_states(page, "accepted", "delivered")
    await press_in_row(page, 2, "d", way)
    await expect(page.locator("#dialog blockquote").last).to_have_text("¿Cuánto sale?")
    await look_at(page)
    await press(page, page.locator("#dialog .primary"), way)
    await expect_states(page, "accepted", "disputed")
    await expect(page.locator("#row-2")).to_contain_text("Ya era cliente")
    badge = page.locator("#deliveries-badge [data-waiting]")
    await expect(badge).to_have_attribute("data-waiting", "1")
    eva = await find_person(console, "Eva")
    await console.services.outcomes.record(eva.contact, Outcome.INTERESTED, "eva")
    await press_in_row(page, 2, "r", way)
    await page.locator("#dialog [name=note]").fill("They are right")
    await press(page, page.locator("#dialog .primary"), way)
    await expect_states(page, "accepted", "replaced", "delivered")
    await press_in_row(page, 3, "a", way)
    await expect_states(page, "accepted", "replaced", "accepted")


async def report_opt_outs(page: Page, way: dict[str, Any]) -> None:
    """Follow the line on Today to the file of later opt-outs, and say that the client has it."""
    await wait_until_live(page)
    await press(page, page.locator("#todo-later_opt_outs"), way)
    # The scripts of the next page take presses once it is live, and no earlier.
    await page.wait_for_url("**/deliveries")
    await wait_until_live(page)
    opener = page.locator("[data-dialog$='/later-opt-outs']")
    await press(page, opener, way)
    await expect(page.locator("#dialog li")).to_contain_text("Paula")
    await look_at(page)
    async with page.expect_download() as started:
        await press(page, page.locator("#dialog a[download]"), way)
    assert (await started.value).suggested_filename == "later-opt-outs.csv"
    await press(page, page.locator("#dialog .primary"), way)
    # Its answer leads to the page anew, where nothing is left to report.
    await expect(opener).not_to_have_class(re.compile(r"\bprimary\b"))
    await page.goto("/")
    await expect(page.locator("#todo-later_opt_outs")).to_have_count(0)


@pytest.mark.parametrize("way", [LAPTOP_ES, PHONE_EN], ids=["laptop", "phone"])
async def test_a_delivery_from_terms_to_money(
    browser: Browser, console: ConsoleServer, way: dict[str, Any]
) -> None:
    """Who is left out and why, freeze, file, dispute, replace, and money."""
    amount = "ARS 9.001,00" if way is LAPTOP_ES else "ARS 9,001.00"
    async with open_page(browser, console, "/deliveries", **way) as page:
        await wait_until_live(page)
        await agree_and_freeze(page, way)
        await wait_until_live(page)
        async with page.expect_download() as started:
            await press(page, page.locator("#file-0-xlsx"), way)
        assert (await started.value).suggested_filename == "delivery-1.xlsx"
        await settle_rows(page, console, way)
        await expect(page.locator("#delivery")).to_contain_text(amount)
        await expect(page.locator("#file-3-csv")).to_be_visible()
        await look_at(page)
        await page.goto("/deliveries")
        await expect(page.locator("#money-lines")).to_contain_text(amount)
        await look_at(page)


@pytest.mark.parametrize("way", [LAPTOP_ES, PHONE_EN], ids=["laptop", "phone"])
async def test_a_later_opt_out_is_on_today_until_the_client_knows(
    browser: Browser, console: ConsoleServer, way: dict[str, Any]
) -> None:
    """The line leads to the file, and ends when a person says that the client has it."""
    [client] = await console.services.sharing.list_clients()
    await console.services.client_terms.set_terms(client.id, TERMS, "eva")
    request = DeliveryRequest(client=client.id)
    preview = await console.services.deliveries.preview(request)
    await console.services.deliveries.freeze(request, "eva", hash_=preview.hash)
    await suppress(console, "Paula")
    async with open_page(browser, console, "/", **way) as page:
        await report_opt_outs(page, way)
    opt_outs = await console.services.settlement.list_later_opt_outs()
    assert [each.reported_at is not None for each in opt_outs] == [True]


async def suppress(console: ConsoleServer, name: str) -> None:
    """Let somebody opt out."""
    person = await find_person(console, name)
    await console.services.suppression.suppress(
        person.phone, source=SuppressionSource.CONTACT, reason="BAJA", who="eva"
    )


@pytest.mark.parametrize("way", [LAPTOP_ES, PHONE_EN], ids=["laptop", "phone"])
async def test_nobody_goes_without_their_yes_but_by_a_decision(
    browser: Browser, console: ConsoleServer, way: dict[str, Any]
) -> None:
    """Each is named as not asked; the decision has a field of its own, and needs its reason."""
    client = await console.services.sharing.add_client("Odonto SRL", "eva")
    await console.services.client_terms.set_terms(client.id, TERMS, "eva")
    path = f"/deliveries/new?client={client.id}"
    async with open_page(browser, console, path, **way) as page:
        await wait_until_live(page)
        unasked = page.locator("[data-reason=sharing_unknown]")
        await expect(unasked).to_have_count(3)
        await expect(page.locator("#freeze")).to_have_count(0)
        await press(page, unasked.filter(has_text="Paula").locator("a.button"), way)
        await expect(unasked).to_have_count(2)
        await page.locator("#freeze [name=decision]").fill("Lo dijo por teléfono")
        await look_at(page)
        await press(page, page.locator("#freeze .primary"), way)
        await press(page, page.locator("main a[href^='/deliveries/del_']"), way)
        await expect(page.locator("#row-1")).to_contain_text("Paula")
    [made] = await console.services.deliveries.list_deliveries(client=client.id)
    detail = await console.services.deliveries.get_delivery(made.id)
    assert [each.ground for each in detail.rows] == ["decision"]
