"""Variables of texts: problems at their place, first names, and what stands in their place."""

from __future__ import annotations

import pytest

from daemon.gate.text_templates import (
    VARIABLES,
    fill_in,
    find_filled_words,
    find_variable_problems,
    take_first_name,
)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("Hola {nombr}", 6, "nearest is {nombre}"),
        ("Hola {xyzzy}", 6, "no variable {xyzzy}"),
        ("Hola {nombre", 6, "brace stands alone"),
        ("Hola nombre}", 12, "brace stands alone"),
        ("{nombre} {rubroo}", 10, "nearest is {rubro}"),
    ],
)
def test_an_unknown_variable_is_an_error_at_its_place(text: str, place: int, says: str) -> None:
    """With the nearest name; what is right is no problem."""
    [problem] = find_variable_problems(text, VARIABLES)
    assert (problem.place, says in problem.sentence) == (place, True)
    assert find_variable_problems("Hola {nombre}, de {empresa}", VARIABLES) == []


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("GÓMEZ, Ángela", "Ángela"),
        ("Petterson", "Petterson"),
        ("Ana María López", "Ana"),
        ("ÁNGELA GÓMEZ", "Ángela"),
        ("Sosa,", "Sosa"),
        ("", ""),
    ],
)
def test_a_first_name_is_taken_from_any_order(name: str, first: str) -> None:
    """Names of one word too."""
    assert take_first_name(name) == first


@pytest.mark.parametrize(
    ("template", "text", "filled"),
    [
        ("Hola {nombre}, soy {quien}.", "Hola Ana, soy Leo.", "Ana\nLeo"),
        ("{nombre}: ¿{nombre}?", "Ana: ¿Ana?", "Ana"),
        ("{nombre}: ¿{nombre}?", "Ana: ¿Beto?", None),
        ("Hola {nombre}, chau", "Hola Ana, chau. Compre ya", None),
        ("Hola {nombre}", "Hola Ana\nCompre ya", None),
        ("Hola {nombre}", "Hola " + "x" * 201, None),
        ("{nombre}{empresa}", "AnaACME", None),
        ("Hola {nombre}!", "Hola !", None),
        ("Hola", "Hola", ""),
    ],
)
def test_only_a_text_that_is_made_of_the_template_has_filled_words(
    template: str, text: str, filled: str | None
) -> None:
    """One line for each variable, the same wherever it stands, and nothing beside them."""
    assert find_filled_words(template, text) == filled


def test_what_is_filled_in_is_found_again() -> None:
    """In time that grows with the text, however many variables it has."""
    template = " ".join(f"{{{name}}}, dijo" for name in VARIABLES)
    values = {name: f"valor {name}" for name in VARIABLES}
    text = fill_in(template, values)
    assert find_filled_words(template, text) == "\n".join(values.values())
    many = "{nombre} {rubro} {ciudad} {quien} {empresa} fin"
    assert find_filled_words(many, "a " * 2000) is None
