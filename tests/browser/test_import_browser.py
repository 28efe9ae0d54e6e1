"""Importing a list by the page, on a laptop and a phone, in English and Spanish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

from storage import imports
from storage.prospects import ProspectRecord
from tests.helpers.client.browser import (
    PHONE_VIEWPORT,
    list_axe_violations,
    open_page,
    wait_until_live,
)
from tests.helpers.client.console import ConsoleServer
from tests.helpers.services.database import list_prospects

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "phone-es": {"viewport": PHONE_VIEWPORT, "has_touch": True, "locale": "es-AR"},
    "laptop-en": {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"},
}
HEADER: Final = "Nombre;Tel.;¿Acepta WhatsApp?;Último contacto;Ciudad;Signo;Talle"
WITHOUT_NINE: Final = tuple(f"11 5555-01{n:02}" for n in range(13))
NAMES: Final = (
    *("Ana", "Beto", "Caro", "Dora", "Elsa", "Fede", "Gina", "Hugo", "Inés", "Juan"),
    *("Kari", "Luis", "Mora", "Nora", "Omar", "Pía", "Raúl", "Sara", "Tito", "Uma"),
    *("Vera", "Walter", "Ximena", "Yago", "Zoe", "Abel", "Bruno", "Celia", "Dani", "Emma"),
)
CONSENTS: Final = (*["Sí"] * 11, "x", "Si, por formulario", "ya es cliente", "No")
OTHER_NUMBERS: Final = (
    *(f"+54 9 11 4444-01{n:02}" for n in range(14)),
    *("+54 341 422-0101", "no tiene", "4555-0101 / 4555-0102"),
)
PACE: Final = (0, 20, 60, 150, 300, 400, 420, 450, 500, 600, 800, 1000, 1500)
"""Milliseconds between the last letter and the click: before, at and after the preview's delay."""


def build_thirty_rows() -> bytes:
    """Return a list as Excel in Spanish saves it: cp1252, semicolons, dates of two digits."""
    rows = [HEADER]
    for place, (name, phone) in enumerate(zip(NAMES, (*WITHOUT_NINE, *OTHER_NUMBERS), strict=True)):
        consent = CONSENTS[place] if place < len(CONSENTS) else ""
        date = "01/02/26" if place % 2 else "02/01/26"
        rows.append(f"{name} Núñez;{phone};{consent};{date};Rosario;Leo;M")
    return ("\r\n".join(rows) + "\r\n").encode("cp1252")


@pytest.fixture(params=LOOKS, ids=list(LOOKS))
async def page(
    request: pytest.FixtureRequest, console: ConsoleServer, browser: Browser
) -> AsyncIterator[Page]:
    """Open the import page on a phone in Spanish, and on a laptop in English."""
    async with open_page(browser, console, "/prospects/import", **LOOKS[request.param]) as opened:
        yield opened


async def choose_list(page: Page, content: bytes | str, name: str = "lista.csv") -> None:
    """Choose a file, and wait for its preview."""
    body = content.encode() if isinstance(content, str) else content
    await page.set_input_files(
        "#import input[type=file]", files=[FilePayload(name=name, mimeType="text/csv", buffer=body)]
    )
    await expect(page.locator("#preview-name")).to_have_text(name)
    await expect(page.locator("[data-import]")).to_be_enabled()


async def import_list(page: Page) -> None:
    """Press the button once it is on, and wait for the report."""
    await expect(page.locator("[data-import]")).to_be_enabled()
    await page.locator("[data-import]").click()
    await page.wait_for_url("**/prospects/imports/imp_*")


async def read_prospects(console: ConsoleServer) -> dict[str, ProspectRecord]:
    """Return all prospects by the first word of their name."""
    found = await console.services.database.read(list_prospects)
    return {each.name.split()[0]: each for each in found}


async def test_thirty_rows_as_people_write_them_lose_nothing(
    page: Page, console: ConsoleServer
) -> None:
    """Each doubt is asked once, each column has its sentence, and rejects are named before."""
    await choose_list(page, build_thirty_rows())
    preview = page.locator("#preview")
    for header in HEADER.split(";")[:5]:
        await expect(preview.locator(".columns")).to_contain_text(f"«{header}» →")
    await expect(preview).to_contain_text("«Signo», «Talle»")
    await expect(preview.locator("#for-mobiles")).to_have_count(1)
    await expect(preview.locator("#for-date_order")).to_have_count(1)
    await expect(preview.locator("#for-statement")).to_have_count(1)
    words = await preview.locator("[name^='word.']").evaluate_all("all => all.map(e => e.name)")
    assert words == ["word.x", "word.Si, por formulario", "word.ya es cliente"]
    rejects = preview.locator("section[aria-labelledby=planned-rejects]")
    await expect(rejects.locator("li")).to_have_count(2)
    await expect(rejects).to_contain_text("Dani Núñez")
    await expect(rejects).to_contain_text("Emma Núñez")
    await preview.locator("#for-mobiles").select_option("yes")
    await preview.locator("#for-date_order").select_option("day_first")
    for word, answer in (("x", "nothing"), ("Si, por formulario", "yes")):
        await preview.locator(f"[name='word.{word}']").select_option(answer)
    await preview.locator("[name='word.ya es cliente']").select_option("relationship")
    await preview.locator("#for-origen_en_palabras").fill("la feria de mayo")
    await preview.locator("#for-statement").fill("marcaron la casilla del formulario")
    await expect(preview.locator(".readings")).to_contain_text("+54 9 11 ••••-0100")
    await expect(preview.locator(".readings")).to_contain_text("2026-01-02")
    await expect(page.locator("[data-import]")).to_be_enabled()
    assert await list_axe_violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await import_list(page)
    await expect(page.locator(".reject-row")).to_have_count(2)
    people = await read_prospects(console)
    assert set(people) == set(NAMES) - {"Dani", "Emma"}
    mobiles = [people[name] for name in NAMES[:13]]
    assert [each.phone for each in mobiles] == [
        f"+54911{phone[3:].replace('-', '')}" for phone in WITHOUT_NINE
    ]
    assert [people[name].permission for name in NAMES[:15]] == [
        *(["opted_in"] * 11),
        *("public_source", "opted_in", "relationship", "refused"),
    ]
    dates = {str(each.data_date.date()) for each in people.values() if each.data_date}
    assert dates == {"2026-02-01", "2026-01-02"}
    assert {each.cartera_origen for each in people.values()} == {"lista.csv"}


async def test_a_list_in_no_doubt_is_asked_nothing(page: Page) -> None:
    """Known words, whole numbers, and dates that a row of the column decides."""
    rows = "Ana;+5491141234567;no;01/02/26\nBeto;+5491141234568;;13/02/26\n"
    await choose_list(page, "nombre;celular;acepta;fecha\n" + rows)
    await expect(page.locator(".readings")).to_contain_text("2026-02-01")
    for question in ("#for-mobiles", "#for-date_order", "#for-statement", "[name^='word.']"):
        assert await page.locator(question).count() == 0


async def test_a_date_in_doubt_is_never_unknown_without_a_word(
    page: Page, console: ConsoleServer
) -> None:
    """It is asked with its count, and counted in the preview and the report."""
    rows = "Ana;+5491141234567;01/02/26\nBeto;+5491141234568;03/02/26\n"
    await choose_list(page, "nombre;celular;fecha\n" + rows)
    await expect(page.locator("#preview")).to_contain_text("2: 01/02/26, 03/02/26")
    await page.locator("#planned-doubts > summary").click()
    await expect(page.locator("#planned-doubts li")).to_have_count(2)
    await import_list(page)
    await expect(page.locator("section[aria-labelledby=other-remarks]")).to_contain_text("2 ×")
    people = await read_prospects(console)
    assert {each.data_date for each in people.values()} == {None}


async def test_a_second_list_raises_a_yes_by_the_tick_only(
    page: Page, console: ConsoleServer
) -> None:
    """The tick says how many, the table whom; a refusal from before stays in either case."""
    first = "nombre;tel;acepta\nAna;+5491141234567;\nCaro;+5491141234569;no\n"
    await console.import_list(first.encode())
    again = "nombre;tel;acepta\nAna;+5491141234567;sí\nCaro;+5491141234569;sí\n"
    await choose_list(page, again)
    await page.locator("#for-statement").fill("form of May")
    tick = page.locator("#for-record_consents")
    await expect(tick).not_to_be_checked()
    await expect(page.locator(".known-people tbody tr")).to_have_count(2)
    await import_list(page)
    people = await read_prospects(console)
    assert (people["Ana"].permission, people["Caro"].permission) == ("public_source", "refused")
    await page.goto("/prospects/import")
    await choose_list(page, again, "otra.csv")
    await expect(page.locator(".known-file")).to_contain_text("lista.csv")
    await page.locator("#for-statement").fill("form of May")
    await tick.check()
    await import_list(page)
    people = await read_prospects(console)
    assert (people["Ana"].permission, people["Caro"].permission) == ("opted_in", "refused")


async def test_an_import_is_undone_and_who_stays_is_named(
    page: Page, console: ConsoleServer
) -> None:
    """By keyboard: the button, the reason, the end; the page follows without a reload."""
    await choose_list(page, "nombre;tel;acepta\nAna;+5491141234567;\nBeto;+5491141234568;no\n")
    await import_list(page)
    await wait_until_live(page)
    await page.locator("#import-undo button").focus()
    await page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    await expect(dialog.locator("[name=reason]")).to_be_focused()
    assert await list_axe_violations(page) == []
    await page.keyboard.press("Enter")
    await expect(page.locator("#undone")).to_be_visible()
    await expect(page.locator("#import-undo li.row")).to_contain_text("Beto")
    await expect(page.locator("#import-undo button")).to_have_count(0)
    assert await list_axe_violations(page) == []
    assert set(await read_prospects(console)) == {"Beto"}


async def type_and_click(page: Page, numbers: Sequence[int]) -> dict[str, str]:
    """Type each sentence last, and click the button soon after; return what must be stored.

    A click on a button that is off does nothing. Each list that is imported is followed by another
    one, and the last sentence is imported in any case.
    """
    expected: dict[str, str] = {}
    button = page.locator("[data-import]")
    name = ""
    for number in numbers:
        if name in expected or not name:
            name = f"{number}.csv"
            await page.goto("/prospects/import")
            row = f"P{number};+54911412345{number:02};sí"
            await choose_list(page, f"nombre;tel;acepta\n{row}\n", name)
        await page.locator("#for-statement").fill(f"sentence {number}")
        await page.wait_for_timeout(PACE[number % len(PACE)])
        if number == numbers[-1]:
            await expect(button).to_be_enabled()
        off = await button.evaluate(
            "each => { const off = each.disabled; each.click(); return off }"
        )
        if not off:
            expected[name] = f"sentence {number}"
            await page.wait_for_url("**/prospects/imports/imp_*")
    return expected


async def test_a_sentence_typed_last_is_stored_as_typed_or_nothing_is(
    console: ConsoleServer, browser: Browser
) -> None:
    """Fifty times, on four pages at once, which are the load: never an empty one."""

    async def work(numbers: Sequence[int]) -> dict[str, str]:
        async with open_page(browser, console, "/prospects/import") as opened:
            return await type_and_click(opened, numbers)

    done = await asyncio.gather(*(work(range(first, 50, 4)) for first in range(4)))
    past = await console.services.database.read(lambda reader: imports.list_imports(reader, 100))
    stored = {each.record.filename: each.record.options["options"] for each in past}
    expected = {name: sentence for each in done for name, sentence in each.items()}
    assert set(stored) == set(expected)
    for name, options in stored.items():
        assert isinstance(options, dict)
        assert options["statement"] == expected[name]
