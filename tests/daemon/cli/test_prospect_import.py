"""The import on the command line: its options, and what a preview prints of the doubts."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import pytest

from daemon.cli.prospect_import import build_import_options, print_preview
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
)


async def test_a_preview_prints_every_question_with_the_option_that_answers_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns that are not used are named, too."""
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    async with open_import_services(tmp_path) as services:
        preview = await services.imports.preview(path, ImportOptions())
    print_preview(msgspec.to_builtins(preview))
    shown = " ".join(capsys.readouterr().out.split())
    for each in (
        "Row 1 is above the header, and is not read: Marzo",
        "Not used: Signo. Keep one as data: --keep HEADER",
        "2 numbers in 'Teléfono' have no 9 (11 4555-1201, 11 4555-1202): are they mobiles?",
        "--mobiles yes|no",
        "2 dates can be read in two ways (01/02/26, 01/03/26): --date-order",
        "Say what a word means: --word WORD=yes|relationship|no|nothing.",
    ):
        assert each in shown


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
    )
    assert msgspec.convert(answers, ImportOptions) == ImportOptions(
        mapping={"city": "Localidad"},
        mobiles=MobileAnswer.NO,
        date_order=DateOrder.MONTH_FIRST,
        consent_words={"x=y": ConsentAnswer.YES, "ya es cliente": ConsentAnswer.RELATIONSHIP},
        fields=["Signo"],
    )


def test_a_word_without_its_meaning_is_refused() -> None:
    """Before anything is uploaded."""
    with pytest.raises(click.BadParameter, match="WORD=MEANING"):
        build_import_options(
            [], region=None, origin=None, permission=None, consent_statement=None, words=["x"]
        )
