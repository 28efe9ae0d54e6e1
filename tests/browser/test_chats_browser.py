"""The numbers of the chats' acceptance in Chromium, each on a laptop and on a phone.

A fixed table pairs each number with a language and a way of pressing, so that it meets both of
each; `make console-full` runs every one in every way.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from daemon.api.identity import parse_identity
from daemon.api.signals import OwnMessage
from daemon.outbox.enqueue import build_message
from statemachines.message import MessageState
from statemachines.vocabulary import MessageKind
from storage import messages, outcomes
from storage.tx import Reader, Tx
from tests.helpers.client.browser import (
    is_too_wide,
    launch_chromium,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.chats import (
    Person,
    Way,
    add,
    find_contact,
    list_sent,
    look_at,
    make_person,
    open_chat,
    press,
    push,
    row_of,
    send,
    type_answer,
    write,
)
from tests.helpers.client.console import (
    PROSPECT_CSV_HEADER,
    ConsoleServer,
    move_message_to_state,
    open_console,
    wait_for_message_state,
)
from tests.helpers.client.http import DAYTIME, build_settings

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
ASKED: Final = "¿Cuánto sale?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chats() -> AsyncIterator[ConsoleServer]:
    """Open one console for all numbers, with a ready session; each has people of its own."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        async with open_console(build_settings(Path(folder) / "state")) as made:
            await made.add_ready_session("ventas")
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Start one Chromium for all numbers."""
    async with launch_chromium() as started:
        yield started


def end_answer(person: Person, state: MessageState, tx: Tx) -> None:
    """Queue a message of ours to somebody and lead it to a state, in one transaction."""
    channel = "manual" if state is MessageState.REVEALED else "simulated"
    contact = tx.value("SELECT contact FROM prospects WHERE phone = ?", (person.phone,))
    queued = build_message(
        at=DAYTIME,
        contact=contact,
        recipient=person.phone,
        session="ventas",
        channel=channel,
        text="Sale mil",
        kind=MessageKind.REPLY,
        not_after=DAYTIME + timedelta(days=1),
    )
    messages.insert_message(tx, queued, who="ana")
    move_message_to_state(queued.id, state, channel, tx)


@look_at(1)
async def test_who_waits_by_nine_cases(chromium: Browser, chats: ConsoleServer, way: Way) -> None:
    """Number 1: who has no answer that left, since their first words; courtesy is folded."""
    asked = await add(chats, "Asked", ASKED)
    nudged = await add(chats, "Nudged", ASKED, hours=4)
    await write(chats, nudged, "¿Hola?")
    ended = {
        state: await add(chats, state.value, ASKED, hours=3)
        for state in (*LEFT_OPEN, MessageState.SENT)
    }
    for state, person in ended.items():
        await chats.services.database.write(partial(end_answer, person, state))
    await write(chats, ended[MessageState.SENT], "Gracias")
    refused = await add(chats, "Refused", "No, gracias")
    stranger = make_person("Stranger")
    await write(chats, stranger, ASKED)
    by_phone = await add(chats, "By phone", ASKED)
    own = OwnMessage(
        "W" + by_phone.phone, parse_identity(by_phone.phone), chats.services.clock.now()
    )
    await chats.services.signal_handlers.own_messages.handle_own_message("ventas", own)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await wait_until_live(page)
        for person in (asked, nudged, *(ended[state] for state in LEFT_OPEN)):
            await expect(row_of(page, person)).to_be_visible()
        since = await row_of(page, nudged).locator("time").get_attribute("datetime")
        assert datetime.fromisoformat(str(since)) < chats.services.clock.now() - timedelta(hours=3)
        folded = page.locator("#courtesy a", has_text=ended[MessageState.SENT].name)
        await expect(folded).to_be_hidden()
        await push(way, page.locator("#courtesy summary"))
        await expect(folded).to_be_visible()
        for person in (refused, by_phone):
            await expect(row_of(page, person)).to_have_count(0)
        await push(way, page.get_by_role("link", name=way.say("Strangers", "Desconocidos")))
        await expect(page.locator("#chat-list a", has_text=stranger.phone[-4:])).to_be_visible()


LEFT_OPEN: Final = (MessageState.IN_DOUBT, MessageState.FAILED, MessageState.REVEALED)
"""States of an answer of ours that do not end a wait."""


@look_at(2)
async def test_opening_ends_nobodys_wait(chromium: Browser, chats: ConsoleServer, way: Way) -> None:
    """Number 2: it takes off the bold for who opens, and lowers no badge."""
    person = await add(chats, "Opened", ASKED)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await wait_until_live(page)
        badge = page.locator("#chats-badge [data-waiting]")
        before = await badge.get_attribute("data-waiting")
        await open_chat(page, way, person)
        await expect(row_of(page, person)).not_to_have_class(re.compile("unread"))
        await expect(badge).to_have_attribute("data-waiting", str(before))
        assert not await is_too_wide(page)
        assert await list_axe_violations(page) == []


async def read_outcomes(console: ConsoleServer, contact: str) -> list[outcomes.OutcomeRecord]:
    """Return the outcomes of a contact that stand."""
    return await console.services.database.read(
        lambda r: outcomes.list_contact_outcomes(r, contact)
    )


QUOTES: Final = {"interested": f"Sí, me interesa. {ASKED}", "not_interested": "Muchas gracias"}


async def untick_refusal(page: Page, console: ConsoleServer, person: Person) -> None:
    """Untick that a no means no more messages; another message of theirs leaves it unticked."""
    await page.locator("#refuse").uncheck()
    await page.evaluate("document.activeElement.blur()")
    await write(console, person, "Muchas gracias")
    await expect(page.locator("#talk-lines")).to_contain_text("Muchas gracias")
    await expect(page.locator("#refuse")).not_to_be_checked()


@look_at(3)
async def test_one_key_writes_an_outcome_and_undo_restores(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 3: with the words that show it and the effect; a minor is asked once, and erased."""
    kinds = ("interested", "not_interested", "third_party", "number_changed_owner")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        for key, kind in enumerate(kinds, start=1):
            person = await add(chats, kind, f"Sí, me interesa. {ASKED}", "Gracias")
            contact = await find_contact(chats, person)
            await open_chat(page, way, person)
            if kind == "not_interested":
                await untick_refusal(page, chats, person)
            async with page.expect_response(lambda each: each.url.endswith("/outcome")):
                await press(page, way, str(key), page.locator(f"#outcome-{kind} button"))
            undo = page.locator("#toasts button").last
            await expect(undo).to_be_visible()
            [kept] = await read_outcomes(chats, contact)
            quote = QUOTES.get(kind, "Gracias")
            assert (kept.outcome, kept.quote) == (kind, quote)
            found = (await chats.api.get(f"/v1/conversations/{contact}")).document
            assert found["chat"]["closed_by"] == "ana"
            assert found["mode"] != "refused", "the box was unticked"
            await push(way, undo)
            await expect(page.locator("#chat-name")).to_have_text(person.name)
            assert await read_outcomes(chats, contact) == []
        person = await add(chats, "Minor", ASKED)
        await open_chat(page, way, person)
        await press(page, way, "5", page.locator("#outcomes [data-dialog]"))
        await push(way, page.locator("#dialog .danger"))
        await expect(row_of(page, person)).to_have_count(0)
    assert (await chats.api.get("/v1/prospects?text=Minor")).document["items"] == []


@look_at(4)
async def test_after_a_day_the_box_is_another_one(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 4: at 24 hours the button and the kind change, and the rules' verdict stands there."""
    person = await add(chats, "Yesterday")
    await write(chats, person, ASKED, hours=24 - 12 / 3600)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        await type_answer(page, way, "Sale mil, con envío.")
        await expect(page.locator("#chat-box")).to_have_attribute("data-mode", "new_message")
        await expect(page.locator("#chat-text")).to_have_value("Sale mil, con envío.")
        await expect(page.locator("#chat-verdict [data-outlook]")).to_be_visible()
        button = page.locator("#chat-box .primary")
        await expect(button).to_have_text(
            way.say("Send as a new message", "Enviar como mensaje nuevo")
        )
        await send(page, way)
        await expect(page.locator("#talk-lines .ours")).to_have_count(1)
    [sent] = await list_sent(chats, person)
    assert sent["kind"] == "commercial"


@look_at(5)
async def test_who_said_no_has_no_box(chromium: Browser, chats: ConsoleServer, way: Way) -> None:
    """Number 5: the page says why and when, and a forged answer is blocked."""
    refused = await add(chats, "Refused", "No, gracias, no me interesa")
    stopped = await add(chats, "Stopped", "BAJA")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        said = way.say("They asked us to stop", "Pidió la baja")
        for person, words in ((refused, "no me interesa"), (stopped, said)):
            await open_chat(page, way, person, "all")
            await expect(page.locator("#chat-text")).to_have_count(0)
            locked = page.locator("#chat-locked")
            await expect(locked).to_contain_text(words)
            path = f"/v1/conversations/{await find_contact(chats, person)}"
            seen = (await chats.api.get(path)).document["last_seen"]
            forged = {"text": f"¿Seguro? {person.name}", "last_seen": seen, "key": person.phone}
            made = await chats.api.post(f"{path}/reply", **forged)
            await wait_for_message_state(chats, made.document["id"], {MessageState.BLOCKED})


@look_at(6)
async def test_an_opt_out_while_somebody_types_locks_the_box(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 6: what was typed stays until then; the page says that nothing left."""
    person = await add(chats, "Typed", ASKED)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        async with page.expect_response(lambda each: each.url.endswith("/draft")):
            await type_answer(page, way, "Hola")
        await write(chats, person, "¿Hola?")
        await expect(page.locator("#talk-lines .theirs")).to_have_count(2)
        await expect(page.locator("#chat-text")).to_have_value("Hola")
        await write(chats, person, "BAJA")
        await expect(page.locator("#chat-locked")).to_contain_text(
            way.say("Nothing was sent", "No salió nada")
        )
        await expect(page.locator("#chat-text")).to_have_count(0)
    assert await list_sent(chats, person) == []


@look_at(7)
async def test_two_operators_do_not_answer_past_each_other(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 7: presence, a lease that asks; the second answer is refused, its text kept."""
    person = await add(chats, "Shared", ASKED)
    async with (
        open_page(chromium, chats, "/chats", **way.options) as mine,
        open_page(chromium, chats, "/chats", **way.options) as theirs,
    ):
        await theirs.context.add_cookies([{"name": "operator", "value": "beto", "url": chats.url}])
        await open_chat(mine, way, person)
        await open_chat(theirs, way, person)
        await expect(mine.locator("#chat-viewers")).to_contain_text("beto")
        await expect(theirs.locator("#chat-viewers")).to_contain_text("ana")
        await type_answer(mine, way, "Sale mil.")
        other = theirs.locator("#chat-box .primary")
        await expect(other).to_contain_text(way.say("Take over", "Tomar igual"))
        await type_answer(theirs, way, "Buenas, mil.")
        await send(theirs, way)
        await push(way, theirs.locator("#dialog [data-close]"))
        stale = asyncio.Event()
        stale.set()  # as on a page that was asleep: what came in meanwhile is not shown
        await theirs.route(
            re.compile(r"/pieces/chats/\w+$"),
            lambda route: route.abort() if stale.is_set() else route.continue_(),
        )
        await send(mine, way)
        await expect(mine.locator("#talk-lines .ours")).to_have_count(1)
        await send(theirs, way)
        async with theirs.expect_response(lambda each: each.url.endswith("/reply")) as refused:
            await push(way, theirs.locator("#dialog .primary"))
        assert (await refused.value).status == 409
        stale.clear()
        await expect(theirs.locator("#talk-lines .ours")).to_have_count(1)
        await expect(theirs.locator("#chat-text")).to_have_value("Buenas, mil.")
    assert [each["text"] for each in await list_sent(chats, person)] == ["Sale mil."]


@look_at(8)
async def test_a_double_tap_is_one_message(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 8: the box is empty then, and the rules said before what would become of it."""
    person = await add(chats, "Twice", ASKED)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        await type_answer(page, way, "Sale mil, con envío.")
        await expect(page.locator("#chat-verdict [data-outlook=now]")).to_be_visible()
        if way.keys:
            await page.keyboard.press("Control+Enter")
            await page.keyboard.press("Control+Enter")
        else:
            await page.locator("#chat-box .primary").dblclick()
        await expect(page.locator("#talk-lines .ours")).to_have_count(1)
        await expect(page.locator("#chat-text")).to_have_value("")
    [sent] = await list_sent(chats, person)
    assert (sent["kind"], sent["text"]) == ("reply", "Sale mil, con envío.")
    await wait_for_message_state(chats, sent["id"], {MessageState.SENT, MessageState.DELIVERED})


@look_at(9)
async def test_a_draft_is_on_the_other_screen_and_in_no_other_chat(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 9: it is kept for its writer, by the server."""
    person, other = await add(chats, "Drafted", ASKED), await add(chats, "Undrafted", ASKED)
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        async with page.expect_response(
            lambda each: each.url.endswith("/draft") and "mil" in (each.request.post_data or "")
        ):
            await type_answer(page, way, "Sale mil")
    elsewhere = replace(way, phone=not way.phone)
    async with open_page(chromium, chats, "/chats", **elsewhere.options) as page:
        await open_chat(page, elsewhere, person)
        await expect(page.locator("#chat-text")).to_have_value("Sale mil")
        await open_chat(page, elsewhere, other)
        await expect(page.locator("#chat-text")).to_have_value("")


@look_at(10)
async def test_the_origin_is_told_or_asked_for(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 10: `o` writes it and sends nothing; where it is missing, the import asks."""
    person = make_person("Imported")
    row = f"{PROSPECT_CSV_HEADER}{person.name};{person.phone};lista;relación previa\n"
    await chats.import_list(row.encode())
    await write(chats, person, "¿De dónde sacaron mi número?")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        await expect(page.locator("#chat-box .chip-line")).to_be_visible()
        await press(page, way, "o", page.locator("#origin-missing"))
        told = page.locator("#origin-form input")
        await told.fill("de la feria de Rosario")
        await push(way, page.locator("#origin-form button"))
        await expect(page.locator(".toast")).to_be_visible()
        await open_chat(page, way, person)
        await press(page, way, "o", page.locator("#write-origin"))
        await expect(page.locator("#chat-text")).to_have_value(
            re.compile(
                f"Hola Imported, tu número lo tomamos de la feria de Rosario, el {DAYTIME.day}/"
                f"{DAYTIME.month}/{DAYTIME.year}. .*BAJA"
            )
        )
    assert await list_sent(chats, person) == []


@look_at(11)
async def test_a_stranger_is_hidden_until_somebody_looks(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 11: no text before, the look is audited, and a private chat leaves a hash."""
    private, welcome = make_person("Private"), make_person("Welcome")
    for person in (private, welcome):
        await write(chats, person, f"¿Cenamos hoy? {person.phone}")
    async with open_page(chromium, chats, "/chats?tab=strangers", **way.options) as page:
        await wait_until_live(page)
        for person in (private, welcome):
            row = page.locator("#chat-list a", has_text=person.phone[-4:])
            await push(way, row)
            await expect(page.locator("#chat-name")).to_contain_text(person.phone[-4:])
            reveal = page.locator("#reveal-chat button")
            await expect(reveal).to_be_visible()
            assert "Cenamos" not in await page.content()
            await push(way, reveal)
            await expect(page.locator("#talk-lines .bubble")).to_contain_text("Cenamos")
            assert await list_axe_violations(page) == []
            if person is private:
                await push(way, page.locator("#stranger-choices [data-dialog]"))
                await push(way, page.locator("#dialog .danger"))
            else:
                await push(way, page.locator("#stranger-prospect button"))
                await expect(page.locator("#chat-text")).to_be_visible()
            await expect(row).to_have_count(0)
            if way.phone:
                await page.goto("/chats?tab=strangers")
                await wait_until_live(page)
    looks = (await chats.api.get("/v1/audit?action=stranger_revealed")).document["items"]
    assert len(looks) >= 2

    def count_traces(reader: Reader) -> tuple[int, int]:
        known = reader.value("SELECT count(*) FROM aliases WHERE alias = ?", (private.phone,))
        told = reader.value(
            "SELECT count(*) FROM inbound WHERE text LIKE ?", (f"%{private.phone}",)
        )
        return known, told

    assert await chats.services.database.read(count_traces) == (0, 0)


@look_at(13)
async def test_what_they_meant_and_whether_it_left_is_asked_within_the_chat(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """An answer can be taken back; a message in doubt is settled before the next one is written."""
    unclear = await add(chats, "Unclear", "mirá, a mí eso del coso no me va ni me viene")
    doubt = await add(chats, "Doubt", ASKED)
    await chats.services.database.write(partial(end_answer, doubt, MessageState.IN_DOUBT))
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, unclear)
        question = page.locator("[data-question]")
        await push(way, question.locator("button").first)
        await expect(question).to_be_hidden()
        await push(way, page.locator("#toasts button").last)
        await expect(question).to_be_visible()
        await open_chat(page, way, doubt)
        await expect(page.locator("#chat-text")).to_have_count(0)
        assert await list_axe_violations(page) == []
        await push(way, page.locator(".doubt button").last)
        await expect(page.locator("#chat-text")).to_be_visible()


@look_at(14)
async def test_chats_are_searched_and_the_person_is_a_key_away(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """`/` and words without accents; `p` leads to the prospect; confirming is enter."""
    person = await add(chats, "Núñez", f"Sí, me interesa el pedal. {ASKED}")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        async with page.expect_response(lambda each: each.url.endswith("/outcome")):
            await press(page, way, "Enter", page.locator("#confirm-proposal button"))
        [kept] = await read_outcomes(chats, await find_contact(chats, person))
        assert kept.outcome == "interested"
        await page.goto("/chats?tab=all")
        await wait_until_live(page)
        search = page.locator("#search")
        if way.keys:
            await page.keyboard.press("/")
            await expect(search).to_be_focused()
        await search.fill(person.name.replace("Núñez", "nunez"))
        await expect(page.locator("#chat-list a")).to_have_count(1)
        await search.fill("zzz")
        await expect(page.locator("#chat-list .empty")).to_contain_text("zzz")
        await search.fill("")
        await open_chat(page, way, person, "all")
        await press(page, way, "p", page.locator("#chat-sheet [data-shortcut=p]"))
        await expect(page).to_have_url(re.compile("/prospects/pro_"))


@look_at(15)
async def test_who_refused_is_told_the_origin_by_the_prepared_words(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """`o` writes what can't be changed, and sending it ends the wait."""
    person = make_person("Asking")
    row = f"{PROSPECT_CSV_HEADER}{person.name};{person.phone};lista;relación previa\n"
    await chats.import_list(row.encode(), origen_en_palabras="la feria de Rosario")
    await write(chats, person, "No, gracias, no me interesa")
    await write(chats, person, "¿De dónde sacaron mi número?")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, person)
        await expect(page.locator("#chat-locked")).to_be_visible()
        text = page.locator("#chat-text")
        await expect(text).to_have_value("")
        await press(page, way, "o", page.locator("#write-origin"))
        await expect(text).to_have_value(re.compile("la feria de Rosario"))
        await expect(text).to_be_focused()
        await page.keyboard.type("¿Seguro?")
        await expect(text).not_to_have_value(re.compile("Seguro"))
        await expect(page.locator("#chat-verdict [data-outlook=now]")).to_be_visible()
        assert await list_axe_violations(page) == []
        assert not await is_too_wide(page)
        await send(page, way)
        await expect(page.locator("#talk-lines .ours")).to_have_count(1)
        await expect(text).to_have_count(0)
    [sent] = await list_sent(chats, person)
    assert (sent["kind"], "la feria de Rosario" in sent["text"]) == ("reply", True)


@look_at(16)
async def test_closing_asks_what_came_of_it(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Enter takes the proposal, or closes without an outcome; their data is asked for beside it."""
    sold = await add(chats, "Sold", f"Sí, me interesa. {ASKED}")
    bare = await add(chats, "Bare", "el lunes te digo")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        await open_chat(page, way, bare)
        await push(way, page.locator("#data-request button"))
        await expect(page.locator("#data-due")).to_be_visible()
        for person, answer in ((bare, "#close-no-outcome"), (sold, "#close-proposal")):
            await open_chat(page, way, person)
            await press(page, way, "e", page.locator(".talk-actions [data-shortcut=e]"))
            button = page.locator(f"#dialog {answer} button")
            await expect(button).to_be_focused()
            assert await list_axe_violations(page) == []
            await push(way, button)
            await expect(row_of(page, person)).to_have_count(0)
    [kept] = await read_outcomes(chats, await find_contact(chats, sold))
    assert kept.outcome == "interested"
    assert await read_outcomes(chats, await find_contact(chats, bare)) == []
    waiting = await chats.api.get("/v1/conversations?tab=data_asked")
    assert bare.name in [each["name"] for each in waiting.document["items"]]


@look_at(12)
async def test_each_empty_list_says_what_would_be_there(
    chromium: Browser, chats: ConsoleServer, way: Way
) -> None:
    """Number 12: the last one, as it closes all chats. Also when our last message left."""
    answered = await add(chats, "Answered", ASKED, hours=3)
    await chats.services.database.write(partial(end_answer, answered, MessageState.SENT))
    for tab in ("waiting", "strangers"):
        for row in (await chats.api.get(f"/v1/conversations?tab={tab}&limit=200")).document[
            "items"
        ]:
            await chats.api.post(f"/v1/conversations/{row['contact']}/close")
    async with open_page(chromium, chats, "/chats", **way.options) as page:
        empty = page.locator("#chat-list .empty")
        await expect(empty).to_contain_text(way.say("Nobody waits", "Nadie espera"))
        await expect(empty).to_contain_text(way.say("The last one left", "La última salió"))
        for tab, words in (
            ("mine", way.say("No chat is yours.", "Ningún chat es tuyo.")),
            ("snoozed", way.say("No chat is snoozed.", "No hay chats pospuestos.")),
            ("strangers", way.say("No stranger wrote.", "No escribió ningún desconocido.")),
        ):
            await push(way, page.locator(f'#chat-tabs a[href$="tab={tab}"]'))
            await expect(empty).to_contain_text(words)
        assert await list_axe_violations(page) == []
