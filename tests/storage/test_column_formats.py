"""Moments as text of fixed width that sorts by time; documents as JSON that is always valid."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.column_formats import encode_json, format_timestamp, parse_timestamp, utc_now

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001


@given(MOMENTS)
def test_a_moment_comes_back_as_utc_cut_to_milliseconds(at: datetime) -> None:
    """What is read is what was written, less than a millisecond earlier, in UTC."""
    back = parse_timestamp(format_timestamp(at))
    assert back.utcoffset() == timedelta(0)
    assert timedelta(0) <= at - back < timedelta(milliseconds=1)


@given(MOMENTS, MOMENTS)
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    """Comparing two stamps in SQL compares the moments."""
    if format_timestamp(one) < format_timestamp(other):
        assert one < other
    assert len(format_timestamp(one)) == len(format_timestamp(other)) == 24


def test_a_stamp_looks_as_the_design_says() -> None:
    """The form is YYYY-MM-DDTHH:MM:SS.mmmZ."""
    assert format_timestamp(datetime(2026, 3, 2, 9, 0, 1, 2999, UTC)) == "2026-03-02T09:00:01.002Z"


def test_a_naive_moment_is_refused() -> None:
    """Without a zone it could mean any hour, so it is not stored."""
    with pytest.raises(ValueError, match="no time zone"):
        format_timestamp(datetime(2026, 3, 2))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    "text", ["", "2026-03-02", "2026-03-02T09:00:00+00:00", "2026-13-02T09:00:00.000Z"]
)
def test_only_our_own_form_is_read(text: str) -> None:
    """Anything that `stamp` can not have written is an error, not a guess."""
    with pytest.raises(ValueError, match=r"moment|month"):
        parse_timestamp(text)


def test_now_is_aware() -> None:
    """The clock of last resort tells UTC."""
    assert format_timestamp(utc_now())


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
