"""Moments of a list: dates with a time, with a zone, as a whole day, and what is none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.lists.dates import DateOrder
from daemon.lists.moments import Moment, read_moment

ZONE = ZoneInfo("America/Argentina/Buenos_Aires")
TODAY = date(2026, 3, 3)
TEN = datetime(2026, 2, 1, 13, 0, tzinfo=UTC)
"""Ten in the morning in Buenos Aires."""


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-01 10:00", "2026-02-01T10:00:00", "2026-02-01 13:00:00Z", "1/2/2026 10:00"),
        *("01/02/26, 10:00 a. m.", "1-2-2026 10.00", "2026-02-01 14:00+01:00", "1769950800"),
        *("1769950800000", "1 de febrero de 2026 10:00", "2026-02-01 10:00:00.000"),
    ],
)
def test_a_moment_is_read_in_the_form_that_people_and_programs_write(text: str) -> None:
    """By its own zone, else by the given one."""
    assert read_moment(text, DateOrder.DAY_FIRST, ZONE, TODAY) == Moment(TEN)


def test_afternoon_and_midnight_of_a_clock_of_twelve_hours() -> None:
    """Twelve is the first hour of each half."""
    noon = read_moment("2026-02-01 12:30 PM", None, UTC, TODAY)
    midnight = read_moment("2026-02-01 12:30 am", None, UTC, TODAY)
    assert noon
    assert midnight
    assert (noon.at.hour, midnight.at.hour) == (12, 0)


def test_a_date_alone_is_the_whole_day() -> None:
    """From its midnight to its last second, in the given zone."""
    found = read_moment("01/02/2026", DateOrder.DAY_FIRST, ZONE, TODAY)
    assert found == Moment(datetime(2026, 2, 1, 3, tzinfo=UTC), whole_day=True)
    assert found.latest == found.at + timedelta(days=1, seconds=-1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ayer", "2026-13-01 10:00", "2026-02-01 25:00", "2026-02-01 13:30 pm"),
        *("2026-03-06 10:00", "4102444800", "2026-02-01 10:00+99:00", "01/02/2026 10:00"),
    ],
)
def test_what_is_no_moment_or_has_not_come_is_none(text: str) -> None:
    """Without the order of its column, neither is one whose day and month look alike."""
    assert read_moment(text, None, ZONE, TODAY) is None
