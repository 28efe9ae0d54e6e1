"""A list is brought in with open eyes, and one person's whole story read: why they got nothing."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, FilePayload, expect

from daemon.http.uploads import FILE_LIMIT
from statemachines.message import MessageState
from storage import audit, imports, prospect_search
from storage.prospect_search import ProspectSearch
from tests.helpers.client.browser import (
    APPEARANCES,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer, wait_for_message_state
from tests.helpers.clock import MIDDAY
from tests.helpers.services.database import list_prospects

LIST = (
    "Quién;Teléfono;Origen;Consentimiento\n"
    "Ana;+5491141234567;feria;sí\n"
    "Beto;no tiene;feria;sí\n"
    "Carla;+5491141234568;feria;no\n"
).encode()
FILE = FilePayload(name="feria.csv", mimeType="text/csv", buffer=LIST)


async def test_a_list_is_seen_before_it_is_stored_and_its_rejects_are_kept(
    console: ConsoleServer, browser: Browser
) -> None:
    """Preview with mapping and counts, one correction, the import, and the rejects as a file."""
    async with open_page(browser, console, "/prospects") as page:
        await page.get_by_role("link", name="Import a list").first.click()
        await page.set_input_files("input[type=file]", files=[FILE])
        await expect(page.locator("#preview .counts")).to_contain_text("3")
        await expect(page.locator("#preview .readings")).not_to_contain_text("41234567")
        assert await console.services.database.read(list_prospects) == []
        await page.locator("#import-columns > summary").click()
        await page.locator("[name='map.name']").select_option("Quién")
        await expect(page.locator("#preview .columns")).to_contain_text("«Quién» → Name")
        await page.locator("#for-statement").fill("signed at the fair")
        await page.locator("#for-statement").press("Tab")
        signed = re.compile("signed at the fair")
        await expect(page.locator("[data-import]")).to_have_attribute("data-import", signed)
        await page.locator("[data-import]").click()
        await expect(page.locator("h1")).to_have_text("feria.csv")
        await expect(page.locator(".reject-row")).to_contain_text("The text is not a phone number.")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download as CSV").click()
        path = await (await download.value).path()
        content = await asyncio.to_thread(path.read_text, encoding="utf-8")
        assert content.splitlines()[0] == "record,reason_code,sentence"
        assert content.splitlines()[1].startswith("3,not_a_number,")
        await page.get_by_role("link", name="See the prospects").click()
        await expect(page.locator(".prospect-row")).to_have_count(2)
        await expect(page.locator("#prospect-list")).to_contain_text("Agreed")


async def test_a_sentence_that_is_typed_last_is_imported_or_nothing_is(
    console: ConsoleServer, browser: Browser
) -> None:
    """Typed and clicked at once: the button is off until the preview has the sentence."""
    async with open_page(browser, console, "/prospects/import") as page:
        await page.set_input_files("input[type=file]", files=[FILE])
        button = page.locator("[data-import]")
        await expect(button).to_be_enabled()
        for typed in ("s", "signed", "signed at the fair"):
            await page.locator("#for-statement").fill(typed)
            # In one turn of the page, before any answer: what a hasty hand does.
            await button.evaluate("each => each.click()")
            assert await console.services.database.read(imports.list_imports) == []
        await expect(button).to_be_enabled()
        await expect(page.locator("#for-statement")).to_have_value("signed at the fair")
        await button.click()
        await expect(page.locator("h1")).to_have_text("feria.csv")
    (past,) = await console.services.database.read(imports.list_imports)
    assert "signed at the fair" in str(past.record.options)


async def test_a_list_asks_what_it_leaves_open(console: ConsoleServer, browser: Browser) -> None:
    """Mobiles without 9, words on consent, unused columns: each asked once, with its rows."""
    content = (
        "nombre;telefono;consentimiento;Sucursal\n"
        "Ana;11 5555-0101;ponele;Centro\nBeto;11 5555-0102;sí;Norte\n"
    ).encode()
    listed = FilePayload(name="lista.csv", mimeType="text/csv", buffer=content)
    async with open_page(browser, console, "/prospects/import", locale="es-AR") as page:
        await page.set_input_files("input[type=file]", files=[listed])
        await expect(page.locator("#preview")).to_contain_text("2 números de «telefono»")
        await page.locator("#for-mobiles").select_option("yes")
        await expect(page.locator("#preview")).to_contain_text("quedaron con el 9")
        await page.locator("[name='word.ponele']").select_option("no")
        await expect(page.locator("[data-import]")).to_be_enabled()
        await page.locator("input[name=fields][value=Sucursal]").check()
        await expect(page.locator("[data-import]")).to_be_enabled()
        await page.locator("[data-import]").click()
        await expect(page.locator("h1")).to_have_text("lista.csv")
    people = await console.services.database.read(list_prospects)
    assert {each.phone for each in people} == {"+5491155550101", "+5491155550102"}
    assert {each.permission for each in people} == {"refused", "public_source"}


async def test_a_list_without_a_number_column_says_so_and_can_be_told(
    console: ConsoleServer, browser: Browser
) -> None:
    """What was not recognised is named by a person, and the preview follows."""
    content = b"quien;donde\nAna;+5491141234567\n"
    odd = FilePayload(name="odd.csv", mimeType="text/csv", buffer=content)
    async with open_page(browser, console, "/prospects/import") as page:
        await page.set_input_files("input[type=file]", files=[odd])
        await expect(page.locator("#preview .problem")).to_contain_text("phone number")
        await page.locator("#map-phone").fill("donde")
        await page.locator("#map-phone").press("Tab")
        await expect(page.locator("[data-import]")).to_be_visible()


async def test_a_list_that_is_too_large_is_refused_in_ones_own_words(
    console: ConsoleServer, browser: Browser, tmp_path: Path
) -> None:
    """How much is taken, and what to do, in the language of the page."""
    huge = tmp_path / "todos.csv"
    huge.touch()
    os.truncate(huge, FILE_LIMIT + 1)
    async with open_page(browser, console, "/prospects/import", locale="es-AR") as page:
        await page.set_input_files("input[type=file]", files=[huge])
        said = page.locator(".problem:visible")
        await expect(said).to_contain_text("El archivo pasa de 64 MB", timeout=20_000)


async def test_a_blocked_one_tells_why(console: ConsoleServer, browser: Browser) -> None:
    """From the prospect's story to the message and the rule, in two clicks."""
    await console.add_ready_session()
    await console.import_list(LIST)
    order = {"to": "+5491141234568", "text": "Hola Carla"}
    reply = await console.api.call("POST", "/v1/messages", json=order)
    await wait_for_message_state(console, reply.document["id"], {MessageState.BLOCKED})
    async with open_page(browser, console, "/prospects") as page:
        await wait_until_live(page)
        await page.keyboard.press("/")
        await page.keyboard.type("4123-4568")
        await expect(page.locator(".prospect-row")).to_have_count(1)
        await page.locator(".prospect-row").click()
        story = page.locator(".timeline")
        await expect(story).to_contain_text("They said no")
        await expect(story).to_contain_text("Imported")
        await story.get_by_role("link", name="Blocked").click()
        await page.get_by_text("Which rule?").first.click()
        await expect(page.locator(".verdict")).to_contain_text("refused")
        await expect(page.locator(".verdict")).to_contain_text("gate.yaml:")


async def test_a_number_is_shown_to_whoever_asks_and_the_asking_kept(
    console: ConsoleServer, browser: Browser
) -> None:
    """Masked until it is pressed; then whole, and in the audit."""
    await console.import_list(LIST)
    (ana, *_) = await console.services.database.read(
        lambda r: prospect_search.search_prospect_directory(
            r, ProspectSearch(text="4123-4567"), now=MIDDAY
        )
    )
    async with open_page(browser, console, f"/prospects/{ana.prospect.id}") as page:
        await wait_until_live(page)
        assert "+5491141234567" not in await page.content()
        await page.locator(".status .reveal").click()
        await expect(page.locator(".status .reveal")).to_contain_text("+5491141234567")
    (entry,) = await console.services.database.read(
        lambda r: audit.list_subject_audit_entries(r, ana.prospect.id)
    )
    assert (entry.action, entry.who) == ("number_revealed", "ana")


@pytest.mark.parametrize("look", APPEARANCES)
async def test_axe_finds_nothing_serious_about_prospects(
    console: ConsoleServer, browser: Browser, look: str
) -> None:
    """The list, one person, the preview, and what became of a list."""
    await console.import_list(LIST)
    (past,) = await console.services.database.read(imports.list_imports)
    (one, *_) = await console.services.database.read(list_prospects)
    async with open_page(browser, console, "/prospects", **dict(APPEARANCES[look])) as page:
        found = await list_axe_violations(page)
        for path in (f"/prospects/{one.id}", f"/prospects/imports/{past.record.id}"):
            await page.goto(path)
            found += await list_axe_violations(page)
        await page.goto("/prospects/import")
        await page.set_input_files("input[type=file]", files=[FILE])
        await expect(page.locator("[data-import]")).to_be_visible()
        assert found + await list_axe_violations(page) == []


async def test_a_consent_is_recorded_seen_and_withdrawn(
    console: ConsoleServer, browser: Browser
) -> None:
    """The form says what it opens; the page follows; a wrong record is withdrawn with a reason."""
    await console.import_list(LIST)
    people = {each.phone: each for each in await console.services.database.read(list_prospects)}
    ana, carla = people["+5491141234567"], people["+5491141234568"]
    async with open_page(browser, console, f"/prospects/{ana.id}") as page:
        await wait_until_live(page)
        permission = page.locator("section[aria-labelledby=permission]")
        await expect(permission).to_contain_text("Public listing")
        await page.get_by_role("button", name="Record consent").click()
        dialog = page.locator("dialog[open]")
        await expect(dialog).to_contain_text("They count as agreed from then on")
        await dialog.locator("[name=how]").select_option("paper")
        await dialog.locator("[name=when]").fill("2026-03-01")
        await dialog.locator("[name=words]").fill("signed at our stand")
        assert await list_axe_violations(page) == []
        await dialog.get_by_role("button", name="Record consent").click()
        await expect(permission).to_contain_text("They agreed; how and when is on record.")
        await expect(permission).to_contain_text("signed at our stand")
        await permission.get_by_role("button", name="Withdraw").click()
        await dialog.get_by_role("button", name="It was about somebody else").click()
        await dialog.get_by_role("button", name="Withdraw").click()
        await expect(permission).to_contain_text("Public listing")
        await page.goto(f"{console.url}/prospects/{carla.id}")
        await page.get_by_role("button", name="Record consent").click()
        await expect(dialog).to_contain_text("They said no on")
        await expect(dialog).to_contain_text("Only a message of theirs opens it again.")
        await expect(dialog.locator("form")).to_have_count(0)
