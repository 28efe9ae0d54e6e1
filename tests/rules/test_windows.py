"""Windows by the recipient's own clock: zones, holidays, and the two nights when clocks move."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.ruleset import TimeWindow
from rules.windows import (
    count_business_days,
    find_business_day,
    find_next_opening,
    is_holiday,
    list_open_windows,
)
from tests.helpers.hypothesis_profiles import examples

BUSINESS = TimeWindow("business", frozenset(range(5)), 9 * 60 + 30, 18 * 60 + 30, holidays=False)
WINDOWS = {"business": BUSINESS}
BUENOS_AIRES = "America/Argentina/Buenos_Aires"
MADRID = "Europe/Madrid"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _is_open(text: str, *zones: str, country: str | None = None) -> bool:
    return bool(list_open_windows(WINDOWS, _at(text), zones, country, BUENOS_AIRES))


def _opens(
    text: str, *zones: str, country: str | None = None, window: TimeWindow = BUSINESS
) -> datetime | None:
    return find_next_opening(window, _at(text), zones, country, BUENOS_AIRES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-10T12:29:59", False),
        ("2026-06-10T12:30", True),
        ("2026-06-10T21:29:59", True),
        ("2026-06-10T21:30", False),
        ("2026-06-13T15:00", False),
    ],
)
def test_a_window_opens_and_closes_by_the_local_clock(text: str, *, expected: bool) -> None:
    """Buenos Aires is three hours behind; Saturday is no weekday."""
    assert _is_open(text, BUENOS_AIRES) is expected


def test_of_several_zones_the_strictest_counts() -> None:
    """Open only where it is open in all of them."""
    assert _is_open("2026-06-10T12:30", BUENOS_AIRES, MADRID)
    assert not _is_open("2026-06-10T17:00", BUENOS_AIRES, MADRID)


@pytest.mark.parametrize("zones", [(), ("Etc/Unknown",), ("../etc/passwd",), ("",)])
def test_without_a_zone_the_sessions_counts(zones: tuple[str, ...]) -> None:
    """A zone that does not exist is none."""
    assert _is_open("2026-06-10T12:30", *zones)
    assert not _is_open("2026-06-10T12:29", *zones)


def test_a_public_holiday_is_closed() -> None:
    """25 May is a holiday in Argentina, and none in Spain."""
    assert not _is_open("2026-05-25T15:00", BUENOS_AIRES, country="AR")
    assert _is_open("2026-05-25T15:00", BUENOS_AIRES, country="es")


def test_a_window_may_stay_open_on_holidays() -> None:
    """When its file says so."""
    always = {"business": TimeWindow("business", frozenset(range(7)), 0, 1_440, holidays=True)}
    assert list_open_windows(always, _at("2026-05-25T15:00"), [], "AR", BUENOS_AIRES) == {
        "business"
    }


def test_a_country_nobody_knows_has_no_holidays() -> None:
    """Holidays are always known."""
    assert not is_holiday(date(2026, 1, 1), "ZZ")
    assert not is_holiday(date(2026, 1, 1), None)
    assert is_holiday(date(2026, 1, 1), "ar")


def test_an_open_window_opens_now() -> None:
    """There is nothing to wait for."""
    assert _opens("2026-06-10T13:00", BUENOS_AIRES) == _at("2026-06-10T13:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-10T05:00", "2026-06-10T12:30"),
        ("2026-06-10T21:30", "2026-06-11T12:30"),
        ("2026-06-12T22:00", "2026-06-15T12:30"),  # Monday the 15th is a holiday there: see below
    ],
)
def test_the_next_opening_is_the_next_working_morning(text: str, expected: str) -> None:
    """Later the same day, the next day, after the weekend."""
    assert _opens(text, BUENOS_AIRES) == _at(expected)


def test_the_next_opening_is_not_on_a_holiday() -> None:
    """After the weekend comes 25 May, so it is Tuesday."""
    assert _opens("2026-05-22T22:00", BUENOS_AIRES, country="AR") == _at("2026-05-26T12:30")


def test_two_zones_open_together_when_the_later_one_opens() -> None:
    """Madrid opens at 7:30 UTC, Buenos Aires at 12:30."""
    assert _opens("2026-06-10T01:00", MADRID, BUENOS_AIRES) == _at("2026-06-10T12:30")


def test_zones_that_are_never_open_together_have_no_next_opening() -> None:
    """Nine hours of business do not meet from Auckland to Madrid in summer."""
    early = TimeWindow("early", frozenset(range(7)), 9 * 60, 10 * 60, holidays=True)
    assert _opens("2026-06-10T01:00", "Pacific/Auckland", MADRID, window=early) is None


def test_the_next_opening_is_found_without_a_walk_through_the_year() -> None:
    """The days are looked at in their order, up to the one on which the window opens."""
    asked: list[object] = []

    class CountedDays(frozenset[int]):
        def __contains__(self, day: object) -> bool:
            asked.append(day)
            return super().__contains__(day)

    window = TimeWindow("counted", CountedDays(range(5)), 570, 1110, holidays=False)
    assert find_next_opening(window, _at("2026-03-06T23:00"), (BUENOS_AIRES,), "AR", MADRID)
    assert len(asked) < 20


def test_a_window_without_days_never_opens() -> None:
    """It is not waited for."""
    assert _opens("2026-06-10T01:00", window=TimeWindow("no", frozenset(), 0, 60, False)) is None


NIGHT = TimeWindow("night", frozenset(range(7)), 2 * 60 + 30, 4 * 60, holidays=True)


def test_where_clocks_skip_the_opening_it_opens_when_they_resume() -> None:
    """29 March 2026 in Madrid: from 2:00 at once to 3:00, which is 1:00 UTC."""
    assert _opens("2026-03-29T00:00", MADRID, window=NIGHT) == _at("2026-03-29T01:00")


def test_where_the_opening_comes_twice_the_first_counts() -> None:
    """25 October 2026 in Madrid: 2:30 is 0:30 UTC, and again 1:30 UTC."""
    assert _opens("2026-10-25T00:00", MADRID, window=NIGHT) == _at("2026-10-25T00:30")


def test_between_the_two_openings_the_second_counts() -> None:
    """At the second 2:10 the window is closed again, until the second 2:30."""
    assert _opens("2026-10-25T01:10", MADRID, window=NIGHT) == _at("2026-10-25T01:30")


MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
ZONES = st.sampled_from(
    [MADRID, BUENOS_AIRES, "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca"]
)


@examples(150)
@given(MOMENTS, st.lists(ZONES, max_size=3), st.sampled_from(["AR", "ES", None]))
def test_the_next_opening_is_open_and_nothing_before_it_is(
    at: datetime, zones: list[str], country: str | None
) -> None:
    """It is the first such moment, to the minute."""
    opening = find_next_opening(NIGHT, at, zones, country, MADRID)
    if opening is None:
        return
    windows = {"night": NIGHT}
    assert opening >= at
    assert list_open_windows(windows, opening, zones, country, MADRID)
    for part in range(1, 50):
        before = at + (opening - at) * (part - 1) / 50
        assert opening == at or not list_open_windows(windows, before, zones, country, MADRID)


@given(
    after=st.dates(date(2020, 1, 1), date(2035, 12, 31)),
    days=st.integers(1, 99),
    country=st.sampled_from([None, "AR", "MX", "ES", "BR"]),
)
@examples(50)
def test_a_business_day_is_the_first_on_which_so_many_have_begun(
    after: date, days: int, country: str | None
) -> None:
    """Counting and finding never differ: what waits until that day is not sent back on it."""
    found = find_business_day(after, days, country)
    assert count_business_days(after, found, country) == days
    assert count_business_days(after, found - timedelta(days=1), country) == days - 1
