"""The preview of an import: what each cell became, and who is left out or in doubt, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from daemon.contacts.imports.options import ImportOptions, ImportPermission
from daemon.contacts.imports.preview import ImportPreview
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.phone_cells import MobileAnswer
from storage import imports
from tests.helpers.services.imports import ImportServices, open_import_services

HEADER = "Nombre;Teléfono;Tel. trabajo;Acepta;No contactar;Fecha;Mail;Signo\n"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ImportServices]:
    """Open the import services for one test."""
    async with open_import_services(tmp_path) as opened:
        yield opened


async def preview(services: ImportServices, text: str, **options: object) -> ImportPreview:
    """Return the preview of a list."""
    path = services.folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return await services.imports.preview(path, ImportOptions(**options))  # type: ignore[arg-type]


async def test_every_filled_cell_says_what_it_became(services: ImportServices) -> None:
    """Number, other number, consent, refusal, date, text, kept and unused."""
    text = HEADER + "Ana;11 5555-0101;4555-0102;x;no;13/02/26;ana@example.org;Leo\n"
    found = await preview(services, text, mobiles=MobileAnswer.YES, fields=["Signo"])
    (row,) = found.rows
    assert [(each.header, each.cell, each.meaning.value, each.value) for each in row.readings] == [
        ("Nombre", "Ana", "text", ""),
        ("Teléfono", "11 5555-0101", "number", "+5491155550101"),
        ("Tel. trabajo", "4555-0102", "other_number", ""),
        ("Acepta", "x", "consent", "unknown"),
        ("No contactar", "no", "consent", "nothing"),
        ("Fecha", "13/02/26", "date", "2026-02-13"),
        ("Mail", "ana@example.org", "text", ""),
        ("Signo", "Leo", "field", ""),
    ]
    assert (row.line_type, row.permission) == ("mobile", ImportPermission.NONE)


async def test_of_a_record_that_is_left_out_nothing_is_used(services: ImportServices) -> None:
    """Its date is not unknown: nobody has read it."""
    found = await preview(services, HEADER + "Ana;no tiene;;sí;;2026-02-13;;\n")
    readings = [(each.header, each.meaning.value) for each in found.rows[0].readings]
    assert readings == [
        ("Nombre", "unused"),
        ("Teléfono", "number"),
        ("Acepta", "unused"),
        ("Fecha", "unused"),
    ]


async def test_a_word_that_somebody_explained_is_read_so(services: ImportServices) -> None:
    """In this list, or in one before; a cell of an unused column became nothing."""
    text = HEADER + "Ana;11 5555-0101;;x;;;;Leo\n"
    nothing = {"x": ConsentAnswer.NOTHING}
    for options in ({"consent_words": nothing}, {}):
        found = await preview(services, text, **options)
        readings = {each.header: each for each in found.rows[0].readings}
        assert readings["Acepta"].value == "nothing"
        assert readings["Signo"].meaning.value == "unused"
        await services.imports.run(
            services.folder / "list.csv", ImportOptions(consent_words=nothing), "ana"
        )


async def test_rejects_and_doubts_are_named_before_the_import(services: ImportServices) -> None:
    """By record, name and cell, with every remark; what is in no doubt is not among them."""
    text = (
        HEADER
        + "Ana;no tiene;;;;;;\nBeto;11 5555-0101;;x;;01/02/26;;\nCaro;+5491155550103;;no;;;;\n"
        + "Dora;+5491155550103;;no;;;;\n"
    )
    found = await preview(services, text)
    (ana,) = found.rejects
    assert (ana.record, ana.name, ana.cell) == (2, "Ana", "no tiene")
    assert [each.code for each in ana.remarks] == ["not_a_number"]
    (beto,) = found.doubtful
    assert (beto.record, beto.name, beto.cell) == (3, "Beto", "11 5555-0101")
    assert [each.code for each in beto.remarks] == [
        *("mobile_open", "permission_not_understood", "date_order_open")
    ]
    assert (found.in_doubt, found.repeated) == (1, 1)


async def test_a_long_list_names_a_hundred_and_counts_all(services: ImportServices) -> None:
    """A preview stays small."""
    rows = "".join(f"P{n};no tiene\nQ{n};11 5555-{n:04}\n" for n in range(120))
    found = await preview(services, "nombre;tel\n" + rows)
    assert (len(found.rejects), len(found.doubtful), found.in_doubt) == (100, 100, 120)


async def test_how_they_agreed_is_asked_for_those_who_say_yes_without_evidence(
    services: ImportServices,
) -> None:
    """A list without such a yes asks nothing."""
    text = "tel;acepta;evidencia\n+5491155550101;sí;\n+5491155550102;sí;formulario\n"
    assert (await preview(services, text)).doubts.without_evidence == 1
    assert (await preview(services, text, statement="feria")).doubts.without_evidence == 0


async def test_the_origin_in_words_is_kept_and_replaced_by_the_same_list(
    services: ImportServices,
) -> None:
    """It makes no second import of the list; without words, the first ones stay."""
    text = "tel\n+5491155550101\n"
    said = ("de la feria", "de la feria de mayo", "")
    reports = [
        await services.import_csv(text, options=ImportOptions(origen_en_palabras=each))
        for each in said
    ]
    assert len({each.id for each in reports}) == 1
    assert [each.origen_en_palabras for each in reports] == [*said[:2], said[1]]
    (ana,) = await services.list_prospects()
    read = partial(imports.get_origin_in_words, import_id=ana.import_id)
    assert await services.database.read(read) == "de la feria de mayo"
