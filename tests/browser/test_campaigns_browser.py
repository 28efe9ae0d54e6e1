"""Campaigns by hand: a draft, its dry run and start, and operators who work people off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from daemon.numbers.breaker import stop_new_chats
from daemon.settings import PacingSettings
from statemachines.vocabulary import BreakerCause
from tests.helpers.client.browser import (
    PHONE_VIEWPORT,
    SIZES,
    Look,
    choose_look,
    is_too_wide,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, open_console
from tests.helpers.client.http import Json, build_settings

pytestmark = pytest.mark.slow

NAME: Final = "Feria de Rosario " + "W" * 60
"""Of a text and of a campaign, with a word that is wider than a phone."""
FOOTER: Final = "Soy {quien}, de {origen_en_palabras}. Respondé BAJA y no escribimos."
DESK: Final = "#campaign-work"
FINISHED: Final = f"{DESK} [data-state=finished]"
BUDGETS: Final = PacingSettings(
    manual_new_chats_first_month=1000,
    manual_new_chats_later=1000,
    manual_new_chats_24h_first_month=1000,
    manual_new_chats_24h_later=1000,
)
"""Budgets that forty people do not reach."""


@pytest.fixture
async def console(short_folder: Path) -> AsyncIterator[ConsoleServer]:
    """Open a console with a phone and an approved first contact."""
    settings = msgspec.structs.replace(build_settings(short_folder), pacing=BUDGETS)
    async with open_console(settings) as made:
        await made.add_ready_session("ventas")
        yield made


async def add_people(console: ConsoleServer, count: int, *, first: int = 0) -> list[str]:
    """Add people who agreed, with validated numbers; return their ids."""
    found = []
    for n in range(first, first + count):
        entry = {"phone": f"+54911412340{n:02d}", "name": f"Persona{n} Sosa"}
        agreed = {"permission": "opted_in", "statement": "form of the fair"}
        made = await console.api.post("/v1/prospects", **entry, **agreed, cartera_origen="feria")
        found.append(str(made.document["id"]))
        word = {"validated": True, "reason": "I called them"}
        await console.api.post(f"/v1/prospects/{found[-1]}/validate", **word)
    return found


async def add_text(console: ConsoleServer) -> str:
    """Store a first contact and approve it; return its id."""
    words = {"body": "Hola {nombre}, ¿hablamos?", "footer": FOOTER}
    fallbacks = {"origen_en_palabras": "la feria de Rosario"}
    order: dict[str, Json] = {"name": NAME, "purpose": "first_contact", **words}
    made = await console.api.post("/v1/texts", **order, fallbacks=fallbacks)
    await console.api.post(f"/v1/texts/{made.document['id']}/approve", version=1)
    return str(made.document["id"])


async def start_campaign(console: ConsoleServer) -> str:
    """Start a campaign for everybody; return its id."""
    text = await add_text(console)
    order = {"name": NAME, "session": "ventas", "text": text}
    made = await console.api.post("/v1/campaigns", **order)
    id_ = str(made.document["campaign"]["id"])
    run = await console.api.post(f"/v1/campaigns/{id_}/dry-run")
    await console.api.post(
        f"/v1/campaigns/{id_}/start", hash=run.document["hash"], reason="the fair is over"
    )
    return id_


async def expect_calm(page: Page) -> None:
    """Expect that nothing is wider than the window, and that axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await list_axe_violations(page) == []


async def make_draft(page: Page, look: Look) -> None:
    """Name a campaign, choose its phone and its text, and make a dry run of it."""
    await look.press(page.locator("[data-dialog='/pieces/campaigns/new']"))
    await page.locator("#dialog [name=name]").fill("Feria marzo")
    await look.press(page.locator("#dialog .primary"))
    await expect(page.locator("#campaign-draft")).to_be_visible()
    await wait_until_live(page)
    await page.locator("[name=session]").select_option("ventas")
    await page.locator("[name=text]").select_option(index=1)
    await expect(page.locator("#draft-saved")).not_to_be_empty()
    await look.press(page.locator("#make-dry-run button"))
    await expect(page.locator("#campaign-dry-run [data-count=total]")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
async def test_1_to_3_numbers_add_up_open_names_and_a_move_is_asked(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """From the draft to the start on one page; who opts out in between is named first."""
    look = choose_look(size, 1)
    say = look.say
    people = await add_people(console, 5)
    unvalidated = {"phone": "+5491141239999", "name": "Sin validar", "cartera_origen": "feria"}
    await console.api.post("/v1/prospects", **unvalidated, permission="relationship")
    await add_text(console)
    async with open_page(browser, console, "/campaigns", **look.options) as page:
        await wait_until_live(page)
        await make_draft(page, look)
        dry_run, audience = page.locator("#campaign-dry-run"), page.locator("#campaign-audience")
        await expect(audience).to_contain_text(say("Everybody who is", "Todas las personas"))
        await expect(audience.locator("[data-count=opted_in]")).to_have_text("5")
        counts = [
            int(await dry_run.locator(f"[data-count={each}]").inner_text())
            for each in ("by_hand", "approval", "later", "no", "total")
        ]
        assert (counts[0], sum(counts[:4])) == (5, counts[4])
        await look.press(dry_run.locator("[data-outlook=by_hand] summary"))
        names = dry_run.locator("[data-outlook=by_hand] .name-list a")
        await expect(names).to_have_count(5)
        await expect_calm(page)
        await look.press(audience.locator("summary").nth(1))
        out = audience.get_by_role("button", name=f"{say('Leave out', 'Dejar afuera')}: Persona4")
        await look.press(out)
        await expect(audience.locator("[data-count=left_out]")).to_have_text("1")
        await expect(dry_run.locator("[data-state=stale]")).to_be_visible()
        await look.press(page.locator("#make-dry-run button"))
        await expect(dry_run.locator("[data-count=by_hand]")).to_have_text("4")
        await expect(dry_run.locator(".start-form")).to_be_visible()
        await page.locator(".start-form [name=reason]").fill("the fair is over")
        stop = {"phone": "+5491141234000", "reason": "said it on the phone"}
        await console.api.post("/v1/suppressions", **stop)
        await expect(dry_run.locator("[data-state=stale]")).to_be_visible()
        await look.press(page.locator("#make-dry-run button"))
        await expect(dry_run.locator("[role=alert]").first).to_contain_text("Persona0 Sosa")
        await expect(dry_run.locator("[data-count=by_hand]")).to_have_text("3")
        await page.locator(".start-form [name=reason]").fill("the fair is over")
        await look.press(dry_run.locator(".start-form .primary"))
        await expect(page.locator("#campaign-live [data-state=running]")).to_be_visible()
        await expect(page.locator("[data-count=queued]")).to_be_visible()
        await expect_calm(page)
    assert len(people) == 5


async def work_off(page: Page, campaign: str, taps: list[float]) -> None:
    """Take one person after another until it is nobody's turn, as an operator with a phone."""
    await page.goto(f"/campaigns/{campaign}/work")
    await wait_until_live(page)
    await page.locator("[data-work=next]").tap()
    in_hand = page.locator("#campaign-work [data-person]")
    while True:
        await expect(page.locator(f"{DESK} [data-work]:enabled, {FINISHED}").first).to_be_visible()
        person = await in_hand.get_attribute("data-person")
        if not person:
            return
        began = time.monotonic()
        async with page.context.expect_page() as opened:
            await page.locator("[data-work$='/open']").tap()
        await (await opened.value).close()
        await page.locator("[data-work$='/sent']").tap()
        taps.append(time.monotonic() - began)
        await expect(page.locator(f"#campaign-work [data-person='{person}']")).to_have_count(0)


@pytest.mark.timeout(400)
async def test_two_operators_work_forty_people_off_without_collision(
    browser: Browser, console: ConsoleServer
) -> None:
    """On two phones, with two taps for each person: nobody gets two, and nobody is lost."""
    await add_people(console, 40)
    campaign = await start_campaign(console)
    phone: dict[str, Json] = {"viewport": PHONE_VIEWPORT, "has_touch": True, "locale": "es-AR"}
    taken: dict[str, list[float]] = {"ana": [], "beto": []}
    async with (
        open_page(browser, console, "/campaigns", **phone) as ana,
        open_page(browser, console, "/campaigns", **phone) as beto,
    ):
        for page, who in ((ana, "ana"), (beto, "beto")):
            await page.context.add_cookies([{"name": "operator", "value": who, "url": console.url}])
            await page.context.route(
                "https://wa.me/**",
                lambda route: route.fulfill(body="a phone", content_type="text/plain"),
            )
        await asyncio.gather(
            work_off(ana, campaign, taken["ana"]), work_off(beto, campaign, taken["beto"])
        )
        await expect(ana.locator("#campaign-work [data-state=finished]")).to_be_visible()
        await ana.goto(f"/campaigns/{campaign}")
        await expect(ana.locator("[data-count=sent]")).to_have_text("40")
        await expect(ana.locator("#campaign-live [data-state=finished]")).to_be_visible()
        await expect_calm(ana)
        await ana.goto(f"/campaigns/{campaign}/report")
        await expect(ana.locator("[data-enough=true] svg").first).to_be_visible()
        await expect_calm(ana)
    seconds = sorted(taken["ana"] + taken["beto"])
    print(
        f"2 taps a person; {seconds[len(seconds) // 2]:.1f} s median, {seconds[-1]:.1f} s at most"
    )
    assert len(seconds) == 40
    assert min(map(len, taken.values())) > 0
    left = (await console.api.get("/v1/messages?limit=100")).document["items"]
    assert len({each["contact"] for each in left}) == len(left) == 40


@pytest.mark.parametrize("size", SIZES)
async def test_5_and_6_a_pause_is_at_once_and_who_opts_out_goes_from_under_the_finger(
    browser: Browser, console: ConsoleServer, size: str
) -> None:
    """The next one comes by a press; the breaker is a red band with its figure and its people."""
    look = choose_look(size, 5)
    say = look.say
    await add_people(console, 6)
    campaign = await start_campaign(console)
    async with (
        open_page(browser, console, f"/campaigns/{campaign}/work", **look.options) as page,
        open_page(browser, console, f"/campaigns/{campaign}", **look.options) as live,
    ):
        await page.context.route(
            "https://wa.me/**",
            lambda route: route.fulfill(body="a phone", content_type="text/plain"),
        )
        await wait_until_live(page)
        await wait_until_live(live)
        await look.press(page.locator("[data-work=next]"))
        await expect(page.locator("#in-hand")).to_have_text("Persona0 Sosa")
        await expect(page.locator("[data-work$='/open']")).to_be_visible()
        await expect_calm(page)
        await console.api.post("/v1/suppressions", phone="+5491141234000", reason="asked for it")
        gone = page.locator("[data-left]")
        await expect(gone).to_contain_text(
            say("Persona0 Sosa opted out", "Persona0 Sosa pidió la baja")
        )
        await expect(page.locator("[data-work$='/open']")).to_have_count(0)
        await look.press(page.locator("[data-work=next]"))
        await expect(page.locator("#in-hand")).to_have_text("Persona1 Sosa")
        await look.press(page.get_by_role("button", name=say("Skip", "Saltear")))
        await look.press(page.locator("#dialog .primary"))
        await expect(page.locator("#in-hand")).to_have_text("Persona2 Sosa")
        await look.press(page.locator("[data-work$='/open']"))
        await expect(page.locator("[data-work$='/sent']")).to_be_visible()
        await expect(live.locator("#will-leave")).to_contain_text(
            say("1 on its way", "1 ya en camino")
        )
        await look.press(live.get_by_role("button", name=say("Pause", "Pausar")))
        await look.press(live.locator("#dialog .primary"))
        await expect(live.locator("#campaign-live [data-state=paused]")).to_be_visible()
        await expect(live.locator("#will-leave")).to_contain_text(
            say("0 more leave", "0 más salen")
        )
        await look.press(page.locator("[data-work$='/sent']"))
        await expect(page.locator("#campaign-work [data-state=paused]")).to_be_visible()
        await expect(live.locator("[data-count=sent]")).to_have_text("1")
        await look.press(live.locator("#names-sent summary"))
        await expect(live.locator("#names-sent .name-list a")).to_have_text("Persona2 Sosa")
        await look.press(live.get_by_role("button", name=say("Resume", "Reanudar")))
        await look.press(live.locator("#dialog .primary"))
        await expect(live.locator("#campaign-live [data-state=running]")).to_be_visible()
        await trip_breaker(console)
        await expect(live.locator("#breaker")).to_contain_text(say("3 of 20", "3 de 20"))
        await expect_calm(live)
        await live.goto(f"/campaigns/{campaign}/report")
        few = live.locator("[data-enough=false]").first
        await expect(few).to_contain_text(say("too few to say", "muy pocos para decir"))
        await expect(live.locator("h3", has_text=say(", version 1", ", versión 1"))).to_have_count(
            1
        )
        await live.set_viewport_size({"width": 320, "height": 640})
        assert not await is_too_wide(live)


async def trip_breaker(console: ConsoleServer) -> None:
    """Stop the new chats of the phone, as the breaker does."""
    phone, now = console.services.sessions.view("ventas").phone, console.services.clock.now()
    cause, detail = BreakerCause.OPT_OUTS, "3 of 20"
    await console.services.database.write(
        lambda tx: stop_new_chats(tx, str(phone), at=now, cause=cause, detail=detail)
    )
