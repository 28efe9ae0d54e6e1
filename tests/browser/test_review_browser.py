"""The manual validation interface, by keyboard: decide, take back, leave, and never collide."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser, Page, expect

from statemachines.message import MessageState
from storage import (
    audit,
    contacts,
    messages,
    prospect_reviews,
    prospects,
    suppressions,
)
from storage.prospect_reviews import ProspectReviewOutcome
from storage.tx import Tx
from tests.helpers.client.browser import (
    APPEARANCES,
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import (
    ACKNOWLEDGED_STATES,
    ANA_ROW,
    BETO_ROW,
    LANDLINE_ROW,
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    hold_messages,
    wait_for_message_state,
)
from tests.helpers.client.http import DAYTIME, Json
from tests.helpers.services.database import list_prospects

PAST_UNDO = 11_000
"""Milliseconds of the page's clock after which no decision can be taken back any more."""


async def wait_until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while True:
            if await is_so():
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def open_review_page(
    browser: Browser, console: ConsoleServer, path: str = "/review", **options: Json
) -> AsyncIterator[Page]:
    """Open the review, with a clock of the page that a test can turn forward."""
    async with open_page(browser, console, "/sign-in", **options) as page:
        await page.clock.install()
        await page.goto(path)
        await wait_until_live(page)
        yield page


async def decide(page: Page, key: str) -> None:
    """Press a decision's letter, and accept the reason that is suggested."""
    await page.keyboard.press(key)
    await expect(page.locator("#dialog[open]")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator("#dialog[open]")).to_have_count(0)


async def test_a_held_message_approved_by_keyboard_goes_out(
    console: ConsoleServer, browser: Browser
) -> None:
    """a, enter, ten seconds: it is with WhatsApp, and the audit says who let it go and why."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with open_review_page(browser, console) as page:
        await decide(page, "a")
        await expect(page.locator(".toast")).to_contain_text("Approved")
        await page.clock.run_for(PAST_UNDO)
        await wait_for_message_state(console, message, ACKNOWLEDGED_STATES)
    entries = await console.services.database.read(
        lambda r: audit.list_subject_audit_entries(r, message)
    )
    assert [(e.who, e.action, e.reason) for e in entries] == [
        ("ana", "approve", "I checked it; it can go")
    ]


async def test_what_is_taken_back_stays_held(console: ConsoleServer, browser: Browser) -> None:
    """Undo within ten seconds: nothing was sent to the server, and the case is back."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with open_review_page(browser, console) as page:
        await decide(page, "a")
        await expect(page.locator(f'#review-queue [data-case="{message}"]')).to_be_hidden()
        await page.locator(".toast .button").click()
        await page.clock.run_for(PAST_UNDO)
        await expect(page.locator(f'#review-queue [data-case="{message}"]')).to_be_visible()
        await expect(page.locator("#case-name")).to_have_text("Ana")
    found = await console.services.database.read(lambda r: messages.require_message(r, message))
    assert found.state is MessageState.HELD
    assert (
        await console.services.database.read(lambda r: audit.list_subject_audit_entries(r, message))
        == []
    )


async def test_leaving_the_page_commits(console: ConsoleServer, browser: Browser) -> None:
    """Who has decided and walks away has decided: it is carried out as the page goes."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with open_review_page(browser, console) as page:
        await decide(page, "x")
        await page.goto("/")
        found = await wait_for_message_state(console, message, {MessageState.BLOCKED})
    assert found.reason_code == "rejected"


async def test_the_next_case_comes_by_itself_until_there_is_none(
    console: ConsoleServer, browser: Browser
) -> None:
    """Two decisions, four keys; then the page says that it was the last."""
    first, second = await hold_messages(console, ANA_ROW, BETO_ROW)
    async with open_review_page(browser, console) as page:
        await expect(page.locator("#case-name")).to_have_text("Ana")
        await decide(page, "a")
        await expect(page.locator("#case-name")).to_have_text("Beto")
        await decide(page, "x")
        await expect(page.get_by_text("That was the last one")).to_be_visible()
        await page.clock.run_for(PAST_UNDO)
        await wait_for_message_state(console, first, ACKNOWLEDGED_STATES)
        await wait_for_message_state(console, second, {MessageState.BLOCKED})


async def test_j_k_and_enter_walk_the_queue(console: ConsoleServer, browser: Browser) -> None:
    """The row that has the focus opens beside the queue, and its address can be kept."""
    _, second = await hold_messages(console, ANA_ROW, BETO_ROW)
    async with open_review_page(browser, console) as page:
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator("#case-name")).to_have_text("Beto")
        await expect(page).to_have_url(f"{console.url}/review/{second}")
        await page.reload()
        await expect(page.locator("#case-name")).to_have_text("Beto")


async def test_two_operators_do_not_collide(console: ConsoleServer, browser: Browser) -> None:
    """What one has open the other sees taken, with nothing to press; left, it is free again."""
    first, second = await hold_messages(console, ANA_ROW, BETO_ROW)
    await console.services.review.take(second, "eva")
    async with open_review_page(browser, console) as page:
        await leased(console, first, "ana")
        await expect(page.locator("#review-queue")).to_contain_text("eva is looking at it")
        await page.locator(f'#review-queue [data-case="{second}"]').click()
        await expect(page.locator("#case .banner")).to_contain_text("eva is looking at this until")
        await expect(page.locator(".decisions")).to_have_count(0)
        await leased(console, first, None)


async def leased(console: ConsoleServer, message: str, who: str | None) -> None:
    """Wait until somebody has a message, or nobody."""

    async def is_so() -> bool:
        return (await wait_for_message_state(console, message, set(MessageState))).taken_by == who

    await wait_until(is_so)


async def test_a_suppression_is_at_once_and_its_undo_a_correction(
    console: ConsoleServer, browser: Browser
) -> None:
    """s, enter: suppressed and cancelled, no ten seconds; undo asks why and is written down."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with open_review_page(browser, console) as page:
        await page.keyboard.press("s")
        await expect(page.locator("#dialog")).to_contain_text("Cancels 1 waiting message")
        await page.keyboard.press("Enter")
        found = await wait_for_message_state(console, message, {MessageState.CANCELLED})
        await expect(page.locator(".toast")).to_contain_text("1 waiting message cancelled")
        await page.locator(".toast .button").click()
        await expect(page.locator("#dialog")).to_contain_text("Was the opt-out a mistake?")
        await page.keyboard.press("Enter")
        await expect(page.locator("#dialog[open]")).to_have_count(0)
    assert not await console.services.database.read(
        lambda r: suppressions.is_contact_suppressed(r, found.contact)
    )
    entries = await console.services.database.read(
        lambda r: audit.list_subject_audit_entries(r, found.contact)
    )
    assert [entry.action for entry in entries] == ["suppress", "lift_suppression"]


async def test_a_landline_waits_for_a_persons_word(
    console: ConsoleServer, browser: Browser
) -> None:
    """It stands among the numbers without any message; v and enter validate it."""
    await console.import_list((PROSPECT_CSV_HEADER + LANDLINE_ROW).encode())
    async with open_review_page(browser, console, "/review/numbers") as page:
        await expect(page.locator("#case")).to_contain_text("It is a landline")
        await decide(page, "v")
        await page.clock.run_for(PAST_UNDO)
        await wait_until(lambda: is_known(console, validado_tecnicamente=True))
        await expect(page.get_by_text("That was the last one")).to_be_visible()


async def test_a_prospect_is_rejected_by_keyboard(console: ConsoleServer, browser: Browser) -> None:
    """Its words ask for a look; x and enter say no, and what comes later is blocked."""
    await console.import_list((PROSPECT_CSV_HEADER + ANA_ROW).encode())
    (ana,) = await console.services.database.read(list_prospects)
    columns: dict[str, object] = {"validation": "validated", "validado_tecnicamente": True}

    def ask(tx: Tx) -> None:
        prospects.update_prospect(tx, ana.id, at=DAYTIME, **columns)
        contacts.request_contact_review(tx, ana.contact, "Stop by tomorrow", DAYTIME)

    await console.services.database.write(ask)
    async with open_review_page(browser, console) as page:
        await expect(page.locator("#case")).to_contain_text("Stop by tomorrow")
        await decide(page, "x")
        await page.clock.run_for(PAST_UNDO)
        await wait_until(lambda: is_rejected(console, ana.contact))
        await expect(page.get_by_text("That was the last one")).to_be_visible()


async def is_rejected(console: ConsoleServer, contact: str) -> bool:
    """Tell whether a person said no to them."""
    said = await console.services.database.read(
        lambda reader: prospect_reviews.get_current_prospect_review(reader, contact, DAYTIME)
    )
    return said is not None and said.outcome is ProspectReviewOutcome.REJECTED


async def is_known(console: ConsoleServer, **fields: object) -> bool:
    """Tell whether the one prospect has these fields."""
    (found,) = await console.services.database.read(list_prospects)
    return all(getattr(found, name) == value for name, value in fields.items())


async def test_what_comes_in_while_nothing_is_open_opens_by_itself(
    console: ConsoleServer, browser: Browser
) -> None:
    """Whoever keeps the empty page open need not reload it."""
    async with open_review_page(browser, console, "/review/numbers") as page:
        await expect(page.get_by_text("No number to validate")).to_be_visible()
        await console.import_list((PROSPECT_CSV_HEADER + LANDLINE_ROW).encode())
        await expect(page.locator("#case-name")).to_have_text("Carla")


async def test_a_name_is_put_right_and_the_case_stays(
    console: ConsoleServer, browser: Browser
) -> None:
    """C corrects and goes nowhere: the message still waits for its decision."""
    await hold_messages(console, ANA_ROW)
    async with open_review_page(browser, console) as page:
        await page.keyboard.press("c")
        await page.locator("#dialog input[name=name]").fill("Ana María")
        await page.keyboard.press("Enter")
        await page.clock.run_for(PAST_UNDO)
        await wait_until(lambda: is_known(console, name="Ana María"))
        await expect(page.locator(".decisions")).to_be_visible()


@pytest.mark.parametrize("look", APPEARANCES)
async def test_axe_finds_nothing_serious_in_a_case(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """The case, its dialogs and the toast with its countdown."""
    (message,) = await hold_messages(console, ANA_ROW)
    async with open_page(browser, console, f"/review/{message}", **dict(APPEARANCES[look])) as page:
        await wait_until_live(page)
        found = await list_axe_violations(page)
        for name in ("Approve", "Validate", "Correct", "Opt out"):
            await page.locator(".decisions").get_by_role("button", name=name).click()
            await expect(page.locator("#dialog[open]")).to_be_visible()
            found += await list_axe_violations(page)
            await page.keyboard.press("Escape")
        await page.locator(".decisions .primary").click()
        await page.locator("#dialog .primary").click()
        await expect(page.locator(".toast")).to_be_visible()
        assert found + await list_axe_violations(page) == []


async def test_on_a_phone_the_case_has_the_screen_to_itself(
    console: ConsoleServer, browser: Browser
) -> None:
    """First the queue; a case opens over it, and leads back."""
    await hold_messages(console, ANA_ROW)
    async with open_page(
        browser, console, "/review", viewport=PHONE_VIEWPORT, has_touch=True
    ) as page:
        await wait_until_live(page)
        await expect(page.locator("#case")).to_be_hidden()
        await page.locator("#review-queue a").first.click()
        await expect(page.locator(".decisions")).to_be_visible()
        await expect(page.locator("#review-queue")).to_be_hidden()
        await page.locator(".case .crumb a").click()
        await expect(page.locator("#review-queue")).to_be_visible()
