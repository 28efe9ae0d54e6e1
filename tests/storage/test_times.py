"""Moments as text: fixed width, sorting by time, refusing what is ambiguous."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.times import format_timestamp, parse_timestamp, utc_now

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
