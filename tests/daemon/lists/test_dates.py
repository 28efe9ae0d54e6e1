"""Dates of a list: the column shows its order, or nobody guesses it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.lists.dates import DateOrder, needs_order, read_date, read_date_column

TODAY = date(2026, 11, 20)
FIFTH = date(2026, 1, 5)


@pytest.mark.parametrize(
    "cell",
    [
        *("2026-01-05", "2026/1/5", "2026-01-05 10:33", "2026-01-05T22:10:05-03:00", "20260105"),
        *("2026-01-05 10:00:00.000Z", "5 ene 2026", "05-ene-26", "5 de enero de 2026"),
        *("Jan 5, 2026", "5 January 2026", "5 de janeiro de 2026"),
    ],
)
def test_a_date_that_shows_its_order(cell: str) -> None:
    """Year first, or a month by its name: with or without a time."""
    assert read_date(cell, None, TODAY) == FIFTH
    assert not needs_order(cell)


@pytest.mark.parametrize(
    "cell", ["5/1/26", "05-01-2026", "05/01/2026 14:30", "05.01.2026", "5/1/2026, 2:30 p. m."]
)
def test_a_date_that_does_not_is_never_guessed(cell: str) -> None:
    """Day and month are what the column shows, or what a person answers."""
    assert needs_order(cell)
    assert read_date(cell, None, TODAY) is None
    assert read_date(cell, DateOrder.DAY_FIRST, TODAY) == FIFTH
    assert read_date(cell, DateOrder.MONTH_FIRST, TODAY) == date(2026, 5, 1)


def test_one_row_decides_for_its_column() -> None:
    """A number over 12 is a day."""
    assert read_date_column(["5/1/26", "13/1/26", ""]).order is DateOrder.DAY_FIRST
    assert read_date_column(["5/1/26", "1/13/26"]).order is DateOrder.MONTH_FIRST
    undecided = read_date_column(["5/1/26", "1/1/26", "6/1/26", "2026-01-05", "x"])
    assert (undecided.order, undecided.open, undecided.examples) == (None, 2, ("5/1/26", "6/1/26"))
    contradiction = read_date_column(["5/1/26", "1/13/26", "13/1/26"])
    assert (contradiction.order, contradiction.open) == (None, 1)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("15/10/2026", date(2026, 10, 15)),
        ("10/15/2026", date(2026, 10, 15)),
        ("1/1/26", date(2026, 1, 1)),
        ("13/5/99", date(1999, 5, 13)),
        ("2026-11-21", date(2026, 11, 21)),
        ("2026-11-22", None),
        ("30/02/2026", None),
        ("31/12/26", None),
        ("hace mucho", None),
        ("46027", None),
        ("5 foo 2026", None),
        ("", None),
    ],
)
def test_what_is_no_date_is_unknown(cell: str, found: date | None) -> None:
    """Nonsense and the future are; a day over 12 needs no order."""
    assert read_date(cell, None, TODAY) == found


@given(
    st.text(max_size=20)
    | st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}( 10:00)?", fullmatch=True),
    st.sampled_from([None, *DateOrder]),
)
def test_no_text_breaks_the_dates(cell: str, order: DateOrder | None) -> None:
    """Every text is a date up to tomorrow, or unknown."""
    found = read_date(cell, order, TODAY)
    assert found is None or found <= date(2026, 11, 21)


@given(st.dates(date(2000, 1, 1), TODAY), st.sampled_from("/-."), st.sampled_from(["%y", "%Y"]))
def test_what_a_program_writes_is_read_back(day: date, mark: str, years: str) -> None:
    """Day first and month first, with two digits of the year or four."""
    year = day.strftime(years)
    assert read_date(f"{day:%d}{mark}{day:%m}{mark}{year}", DateOrder.DAY_FIRST, TODAY) == day
    assert read_date(f"{day.month}{mark}{day.day}{mark}{year}", DateOrder.MONTH_FIRST, TODAY) == day
