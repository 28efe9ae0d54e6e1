"""ConsentAnswer cells: a yes is a yes only as a whole; whatever begins with a no is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.lists.consent_cells import (
    ConsentAnswer,
    fold_consent,
    read_consent_cell,
    read_refusal_cell,
)

YES = ("sí", "Si", " SÍ. ", "sim", "yes", "TRUE", "VERDADERO", "VERDADEIRO", "1", "✅", "✓", "✔️")
NO = (
    *(
        "no",
        "não",
        "nao",
        "no.",
        "nop",
        "FALSO",
        "FALSE",
        "0",
        "❌",
        "✗",
        "👎",
        "👎🏽",
        "нет",
        "لا",
    ),
    *("opted-out", "unsubscribed", "do not contact", "no contactar", "no_contactar"),
    *("NO, pidió que no lo llamen", "dado de baja", "No, gracias", "pidió la baja", "rechazó"),
    *("don't contact", "não quer", "descadastrado", "lista: no llamar"),
)
NOTHING = ("", " ", "-", "—", "N/A", "#N/A", "s/d", "pendiente", "no aplica", "?", "…", "☐")
UNKNOWN = ("x", "Si, por formulario", "ya es cliente", "quizás", "noviembre", "sí, pero no por acá")


@pytest.mark.parametrize(
    ("cell", "consent"),
    [
        *((cell, ConsentAnswer.YES) for cell in (*YES, "✅ sí", "acepto", "👍🏽")),
        *((cell, ConsentAnswer.NO) for cell in NO),
        *((cell, ConsentAnswer.NOTHING) for cell in NOTHING),
        *((cell, ConsentAnswer.UNKNOWN) for cell in (*UNKNOWN, "sí / no", "да")),
        ("relación previa", ConsentAnswer.RELATIONSHIP),
        ("fuente pública", ConsentAnswer.PUBLIC),
        ("ninguno", ConsentAnswer.NONE),
    ],
)
def test_what_a_cell_says(cell: str, consent: ConsentAnswer) -> None:
    """Words and marks in three languages, and the spreadsheets' own TRUE and FALSE."""
    assert read_consent_cell(cell) is consent


@pytest.mark.parametrize("cell", UNKNOWN)
def test_an_answer_is_remembered_by_the_word(cell: str) -> None:
    """However it is written the next time; a no that is known is never answered away."""
    answers = {fold_consent(cell): ConsentAnswer.YES, "no": ConsentAnswer.YES}
    assert read_consent_cell(f" {cell.upper()} ", answers) is ConsentAnswer.YES
    assert read_consent_cell("no", answers) is ConsentAnswer.NO


@given(st.sampled_from(["no", "não", "never", "нет", "not"]), st.text(max_size=20))
def test_nothing_behind_a_no_makes_a_yes(no: str, rest: str) -> None:
    """Whatever follows it."""
    assert read_consent_cell(f"{no} {rest}") not in {ConsentAnswer.YES, ConsentAnswer.RELATIONSHIP}


@given(st.text(max_size=20), st.sampled_from(YES))
def test_a_yes_among_other_words_is_asked(rest: str, yes: str) -> None:
    """Only what says yes as a whole is a yes: other words beside it may take it back."""
    cell = f"{yes} {rest}z"
    assert read_consent_cell(cell) is not ConsentAnswer.YES


@pytest.mark.parametrize(
    "cell", ["1", "yes", "sí", "true", "x", "❌", "2026-01-05", "pidió la baja", "opted out", "✓"]
)
def test_a_column_whose_yes_means_no_refuses(cell: str) -> None:
    """By a yes, a mark, a date or a reason: what is there was put there."""
    assert read_refusal_cell(cell)


@pytest.mark.parametrize("cell", ["", " ", "0", "no", "FALSE", "falso", "não", "-", "N/A", "none"])
def test_a_column_whose_yes_means_no_says_nothing_by_a_no(cell: str) -> None:
    """A no to a refusal is no consent, and no refusal."""
    assert not read_refusal_cell(cell)
