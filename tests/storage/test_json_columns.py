"""Stored documents are the JSON that they were before, written faster, and valid whatever comes."""

from __future__ import annotations

import json
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.json_columns import encode_json


class Wait(StrEnum):
    """A word of ours."""

    UNTIL_CHECKED = "until_checked"


class Words(str):
    """A text of a kind that a plugin may bring."""

    __slots__ = ()


class Count(int):
    """A number of a kind that a plugin may bring."""


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), TEXTS, st.floats(0, 100))
PARTS = st.one_of(LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(TEXTS, LEAVES, max_size=3))
DOCUMENTS = st.dictionaries(TEXTS, PARTS, max_size=5)


@given(document=DOCUMENTS)
def test_a_document_reads_as_what_was_written(document: dict[str, object]) -> None:
    """With its keys in order at every depth, so that equal documents are equal texts."""
    text = encode_json(document)
    assert json.loads(text) == document
    assert text == encode_json(json.loads(json.dumps(document, sort_keys=True)))


def test_rows_look_as_they_did() -> None:
    """Whoever greps the column, or compares an old row with a new one, sees one form."""
    document = {
        "sentence": "Está «lejos» \\ \n\x01\u2028",
        "points": [-15, 2.5, 0.1, True, None],
        "defers": ({"until": Wait.UNTIL_CHECKED, "after": 3},),
    }
    before = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert encode_json(document) == before


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_without_a_word_is_null(number: float) -> None:
    """`NaN` is no JSON: SQLite would refuse to look into the row. Null is unknown, as it is."""
    assert encode_json({"rate": number}) == '{"rate":null}'


def test_a_plugin_s_own_kinds_of_text_and_number_are_written() -> None:
    """What a plugin says of a message must not keep the decision from being stored."""
    assert (
        encode_json({"reason": Words("late"), "seconds": Count(3)})
        == '{"reason":"late","seconds":3}'
    )


def test_what_is_no_json_is_refused() -> None:
    """By the name of its type."""
    with pytest.raises(TypeError, match="can't hold object"):
        encode_json({"of": object()})
