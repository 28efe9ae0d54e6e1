"""The frame of the console and Today: five promises, each on a laptop and on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import InboundMessage
from daemon.backup.status import BackupStatus, SealedCopy, write_status
from daemon.settings import ClockSettings
from tests.helpers.client.browser import (
    SIZES,
    Look,
    choose_look,
    is_too_wide,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import build_settings

pytestmark = pytest.mark.slow

PAULA: Final = "+5491141234567"
ENTRIES: Final = "#sidebar nav li a"
OLD_ADDRESSES: Final = {
    "/chats": ("chats", "waiting"),
    "/messages": ("chats", "messages"),
    "/review/meanings": ("review", "meanings"),
    "/manual": ("review", "manual"),
    "/prospects/import": ("prospects", "imports"),
    "/rules": ("settings", "rules"),
    "/audit": ("settings", "audit"),
}
"""Addresses of before the tabs, each with the place and the tab that it leads to."""
FIND_GREEN: Final = """() => {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.className = "ready";
  probe.style.color = "var(--severity)";
  probe.style.backgroundColor = "var(--severity-ground)";
  const { color, backgroundColor } = getComputedStyle(probe);
  probe.remove();
  const isGreen = (each) => {
    const style = getComputedStyle(each);
    const seen = [style.backgroundColor, style.borderTopColor, style.stroke];
    if (each.childElementCount === 0 && each.textContent.trim()) seen.push(style.color);
    return seen.includes(color) || style.backgroundColor === backgroundColor;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((each) => each.checkVisibility() && isGreen(each))
    .map((each) => each.outerHTML.slice(0, 120));
}"""


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a phone that is ready and a prospect."""
    async with open_console(build_settings(short_folder)) as made:
        await made.add_ready_session("ventas")
        entry = {"phone": PAULA, "name": "Paula Núñez", "cartera_origen": "feria"}
        await made.api.post("/v1/prospects", **entry, permission="relationship")
        yield made


async def receive(console: ConsoleServer, text: str) -> None:
    """Receive a message of the prospect, written now."""
    at = console.services.clock.now()
    signal = InboundMessage(text, parse_identity(PAULA), text, at)
    await console.services.signal_handlers.inbound.handle_inbound("ventas", signal)


async def answer(console: ConsoleServer, text: str) -> None:
    """Answer whoever waits."""
    [row] = (await console.api.get("/v1/conversations")).document["items"]
    path = f"/v1/conversations/{row['contact']}"
    seen = (await console.api.get(path)).document["last_seen"]
    await console.api.post(f"{path}/reply", text=text, last_seen=seen, key=text)


async def go_to(page: Page, look: Look, place: int) -> None:
    """Go to a place of the navigation, by its two keys or by its entry."""
    entry = page.locator(ENTRIES).nth(place)
    if look.by_keys:
        for key in str(await entry.get_attribute("aria-keyshortcuts")).split():
            await page.keyboard.press(key)
    elif await entry.is_visible():
        await look.press(entry)
    else:
        await look.press(page.locator("#user-menu summary"))
        shown = page.locator("#user-menu a.menu-item")
        await look.press(shown.nth(place - 4))


@pytest.mark.parametrize("size", SIZES)
async def test_1_a_few_places_hold_everything_and_nothing_overflows(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Eight entries at most, and on a phone four beside one for the rest."""
    look = choose_look(size, 1)
    async with open_page(browser, console, "/", **look.options) as page:
        await wait_until_live(page)
        entries = page.locator(ENTRIES)
        count = await entries.count()
        assert count <= 8
        visible = [await each.is_visible() for each in await entries.all()]
        assert sum(visible) == (4 if size == "phone" else count)
        more = page.get_by_text(look.say("More", "Más"), exact=True)
        await expect(more.first).to_be_visible(visible=size == "phone")
        for place in range(1, count):
            path = str(await entries.nth(place).get_attribute("href"))
            await go_to(page, look, place)
            await page.wait_for_url(f"**{path}")
            await wait_until_live(page)
            assert not await is_too_wide(page), path
            assert await list_axe_violations(page) == []


@pytest.mark.parametrize("size", SIZES)
async def test_2_the_badge_of_chats_follows_on_every_open_page(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Somebody writes, and it goes up without a reload; the answer leaves, and it goes down."""
    look = choose_look(size, 2)
    async with (
        open_page(browser, console, "/", **look.options) as today,
        open_page(browser, console, "/prospects", **look.options) as other,
    ):
        for page in (today, other):
            await wait_until_live(page)
        await receive(console, "¿Cuánto sale?")
        for page in (today, other):
            await expect(page.locator("#chats-badge [data-waiting]")).to_have_text(
                look.say("1, 1 person waits", "1, 1 persona espera tu respuesta")
            )
            assert (await page.title()).startswith("(1) ")
        await answer(console, "Sale mil.")
        for page in (today, other):
            await expect(page.locator("#chats-badge [data-waiting]")).to_have_count(
                0, timeout=60_000
            )
            assert not (await page.title()).startswith("(")


async def expect_worst(page: Page, sentence: str) -> None:
    """Expect the big sentence to begin so, and nothing on the page to be green."""
    await expect(page.locator("h1.sentence")).to_contain_text(sentence)
    await expect(page.locator("[data-worst]")).not_to_have_attribute("data-worst", "")
    assert await page.evaluate(FIND_GREEN) == []
    assert await list_axe_violations(page) == []


@pytest.mark.parametrize("size", SIZES)
async def test_3_the_worst_is_the_big_sentence_and_nothing_is_green_beside_it(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """A ban and a halt by a person; before them, the same page is green."""
    look = choose_look(size, 3)
    async with open_page(browser, console, "/", **look.options) as page:
        await wait_until_live(page)
        await expect(page.locator("[data-worst='']")).to_be_visible()
        assert await page.evaluate(FIND_GREEN) != []
        line = [{"at": 0.2, "do": "ban", "session": "norte", "seconds": 3600}]
        await console.start_session("norte", line=line)
        await console.wait_for_session_state("norte", {"banned_temporarily"})
        await expect_worst(page, look.say("WhatsApp banned", "WhatsApp suspendió"))
        await look.press(page.locator("[data-halt]"))
        await look.press(page.locator("#dialog .danger"))
        await page.locator("#halt-banner .banner").wait_for()
        await expect_worst(page, look.say("All sending has been stopped", "están detenidos"))


@pytest.mark.parametrize("size", SIZES)
async def test_3_a_late_backup_is_the_big_sentence_too(
    browser: Browser, short_folder: Path, size: str
) -> None:
    """Of an installation by the clock of its machine; sending goes on, and the page says so."""
    look = choose_look(size, 3)
    settings = msgspec.structs.replace(build_settings(short_folder), clock=ClockSettings())
    old = datetime.now(UTC) - timedelta(hours=50)
    copy = SealedCopy("old.age", old, 1, old, {}, 0)
    status = BackupStatus(recipient="age1x", key_made_at=old, key_confirmed_at=old, copies=(copy,))
    write_status(settings, status)
    async with open_console(settings) as console:
        await console.add_ready_session("ventas")
        async with open_page(browser, console, "/", **look.options) as page:
            await wait_until_live(page)
            await expect_worst(page, look.say("There is no backup", "No hay copia de seguridad"))
            await expect(page.locator("h1.sentence")).to_contain_text("1000")


@pytest.mark.parametrize("size", SIZES)
async def test_4_the_five_answers_of_the_morning_are_on_the_first_screen(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The sentence, four lines, and the button that stops all; the oldest is two steps away."""
    look = choose_look(size, 4)
    await receive(console, "¿Cuánto sale?")
    async with open_page(browser, console, "/", **look.options) as page:
        await wait_until_live(page)
        keys = ("phones", "night", "waiting", "leaving")
        answers = [page.locator("h1.sentence"), page.locator("[data-halt]")]
        answers += [page.locator(f"#morning-{key}") for key in keys]
        bar = await page.locator("#sidebar").bounding_box() if size == "phone" else None
        end = bar["y"] if bar else page.viewport_size["height"] if page.viewport_size else 0
        for each in answers:
            box = await each.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= end
        await expect(answers[2]).to_contain_text(look.say("ventas, online", "ventas, en línea"))
        await expect(answers[3]).to_contain_text(look.say("nothing went wrong", "sin novedades"))
        await expect(answers[4]).to_contain_text(look.say("1, since today", "1, desde hoy"))
        await expect(answers[5]).to_contain_text(look.say("nothing so far", "nada por ahora"))
        await look.press(answers[4])
        await expect(page.locator("#chat-text")).to_be_focused()
        await page.keyboard.type("Sale mil.")
        await page.keyboard.press("Control+Enter")
        await expect(page.locator("#talk-lines .ours")).to_have_count(1)


@pytest.mark.parametrize("size", SIZES)
async def test_5_old_addresses_lead_to_their_tabs(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """Each address is a tab of a place, which the navigation marks."""
    look = choose_look(size, 5)
    async with open_page(browser, console, "/", **look.options) as page:
        for path, (place, tab) in OLD_ADDRESSES.items():
            await page.goto(path)
            current = page.locator(f"#sidebar a[aria-current]:has(#{place}-badge)")
            await expect(current).to_have_count(1)
            open_tab = page.locator(".tabs [aria-current]")
            href = await open_tab.get_attribute("href")
            assert href is not None
            assert href.partition("?")[0] == path
            assert tab == "waiting" or "?" not in href
        await page.goto("/messages?state=in_doubt")
        await expect(page.locator("#message-list")).to_be_visible()
