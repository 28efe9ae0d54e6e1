"""The import on the command line: its options, and what a preview prints of the doubts."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import pytest

from daemon.cli.prospect_import import build_import_options, print_preview, print_undo
from daemon.contacts.imports.options import ImportOptions
from daemon.lists.consent_cells import ConsentAnswer
from daemon.lists.dates import DateOrder
from daemon.lists.phone_cells import MobileAnswer
from tests.helpers.services.imports import open_import_services

LIST = (
    "Marzo;;;;\n"
    "Nombre;Teléfono;Acepta;Fecha;Signo\n"
    "Ana;11 4555-1201;x;01/02/26;Libra\n"
    "Beto;11 4555-1202;sí;01/03/26;Leo\n"
    "Caro;no tiene;;;\n"
)


async def test_a_preview_prints_every_question_with_the_option_that_answers_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that are not used are named, too."""
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    async with open_import_services(tmp_path) as services:
        before = await services.imports.run(path, ImportOptions(), "bea")
        preview = await services.imports.preview(path, ImportOptions())
    print_preview(msgspec.to_builtins(preview))
    shown = " ".join(capsys.readouterr().out.split())
    for each in (
        f"Imported before as list.csv, by bea, on 2026-11-20: {before.id}.",
        "3 Teléfono 11 4555-1201 +541145551201, fixed_line",
        "3 Acepta x consent unknown",
        "3 Fecha 01/02/26 unknown date",
        "5 Caro no tiene The text is not a phone number.",
        "Row 1 is above the header, and is not read: Marzo",
        "Not used: Signo. Keep one as data: --keep HEADER",
        "2 numbers in 'Teléfono' have no 9 (11 4555-1201, 11 4555-1202): are they mobiles?",
        "--mobiles yes|no",
        "2 dates can be read in two ways (01/02/26, 01/03/26): --date-order",
        "Say what a word means: --word WORD=yes|relationship|no|nothing.",
    ):
        assert each in shown


async def test_a_preview_names_who_is_here_and_the_option_that_records_their_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name; whom the list says nothing new about is counted only."""
    path = tmp_path / "list.csv"
    async with open_import_services(tmp_path) as services:
        await services.import_csv("nombre;tel\nAna;+5491141234567\nBeto;+5491141234568\n")
        rows = "Ana;+5491141234567;sí\nBeto;+5491141234568;\n"
        path.write_text("nombre;tel;consentimiento\n" + rows, encoding="utf-8")
        preview = await services.imports.preview(path, ImportOptions(statement="form"))
    print_preview(msgspec.to_builtins(preview))
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 records are about people who are here already." in shown
    assert "Ana public_source raisable" in shown
    assert "1 of them say yes with evidence: --record-consents records it" in shown


def test_the_answers_are_options_of_the_import() -> None:
    """As the daemon reads them."""
    answers = build_import_options(
        ["city=Localidad"],
        region=None,
        origin=None,
        permission=None,
        consent_statement=None,
        mobiles="no",
        date_order="month_first",
        words=["x=y=yes", "ya es cliente=relationship"],
        kept=["Signo"],
        record_consents=True,
    )
    assert msgspec.convert(answers, ImportOptions) == ImportOptions(
        mapping={"city": "Localidad"},
        mobiles=MobileAnswer.NO,
        date_order=DateOrder.MONTH_FIRST,
        consent_words={"x=y": ConsentAnswer.YES, "ya es cliente": ConsentAnswer.RELATIONSHIP},
        fields=["Signo"],
        record_consents=True,
    )


def test_a_word_without_its_meaning_is_refused() -> None:
    """Before anything is uploaded."""
    with pytest.raises(click.BadParameter, match="WORD=MEANING"):
        build_import_options(
            [], region=None, origin=None, permission=None, consent_statement=None, words=["x"]
        )


def test_an_undone_import_names_who_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason; while it is under way, with what is left."""
    person = {"record": 3, "name": "Beto", "outcome": "refused", "prospect": "pro_1"}
    undo = {"done_at": None, "left": 2, "removed": 5, "stayed": {"refused": 1}, "people": [person]}
    print_undo(undo)
    print_undo({**undo, "done_at": "2026-11-29T10:00:00Z", "left": 0})
    shown = " ".join(capsys.readouterr().out.split())
    stays = "5 removed; who stays: 1 said no: stays always."
    assert f"The import is being undone, 2 records to go: {stays}" in shown
    assert f"The import is undone: {stays}" in shown
    assert "3 Beto said no: stays always pro_1" in shown
