"""Finds the time windows that are open where a recipient lives, and when one opens next."""

from __future__ import annotations

import heapq
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.local_time import resolve_local_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.ruleset import TimeWindow

_SATURDAY = 5
_MAX_DAYS = 400  # a window that does not open within a year never does


def is_holiday(day: date, country: str | None) -> bool:
    """Return whether `day` is a national holiday of the country (two letters).

    Countries that the library does not know have none.
    """
    # No regional holidays: a phone number does not tell the region.
    return country is not None and day in _load_holidays(country.upper(), day.year)


def count_business_days(after: date, until: date, country: str | None) -> int:
    """Return how many business days lie after one day, up to another one and with it.

    Business days are those from Monday to Friday that are no national holiday of the country.
    """
    days = (after + timedelta(days=step) for step in range(1, (until - after).days + 1))
    return sum(day.weekday() < _SATURDAY and not is_holiday(day, country) for day in days)


def find_business_day(after: date, days: int, country: str | None) -> date:
    """Return the day on which `days` business days have begun since the day `after`."""
    day = after
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < _SATURDAY and not is_holiday(day, country)
    return day


def list_open_windows(
    windows: Mapping[str, TimeWindow],
    at: datetime,
    zones: Sequence[str],
    country: str | None,
    default_zone: str,
) -> frozenset[str]:
    """Return the names of the windows that are open at `at` (aware) in all of the IANA `zones`.

    Without a known zone the session's `default_zone` counts.
    """
    # A number may belong to several zones; the recipient could live in any of them.
    clocks = _load_zones(zones, default_zone)
    return frozenset(
        name for name, each in windows.items() if _is_open_everywhere(each, at, clocks, country)
    )


def find_next_opening(
    window: TimeWindow, at: datetime, zones: Sequence[str], country: str | None, default_zone: str
) -> datetime | None:
    """Return the first moment from `at` on, in UTC, when the window is open in all zones.

    None if there is none within a year.
    """
    clocks = _load_zones(zones, default_zone)
    if _is_open_everywhere(window, at, clocks, country):
        return at.astimezone(UTC)
    # Windows open and close at whole minutes, so that all who ask within one share an answer.
    minute = at.astimezone(UTC).replace(second=0, microsecond=0)
    return _find_opening_after(window, minute, clocks, country)


@lru_cache(maxsize=1_024)
def _find_opening_after(
    window: TimeWindow, minute: datetime, clocks: tuple[ZoneInfo, ...], country: str | None
) -> datetime | None:
    """Return the first common opening from a minute on in which the window is closed."""
    # The zones' common opening begins when the last of them opens. Merged day by day: nearly always
    # one of the first few is it.
    openings = heapq.merge(*(_iter_openings(window, minute, clock) for clock in clocks))
    return next(
        (
            each
            for each in openings
            if each >= minute and _is_open_everywhere(window, each, clocks, country)
        ),
        None,
    )


def _load_zones(zones: Sequence[str], default_zone: str) -> tuple[ZoneInfo, ...]:
    """Return the zones that exist, without repetition; the default when none does."""
    found = {zone: clock for zone in zones if (clock := _load_zone(zone)) is not None}
    return tuple(found.values()) or (ZoneInfo(default_zone),)


@lru_cache(maxsize=1_024)
def _load_zone(zone: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _is_open_everywhere(
    window: TimeWindow, at: datetime, clocks: Sequence[ZoneInfo], country: str | None
) -> bool:
    return all(_is_open(window, at.astimezone(clock), country) for clock in clocks)


def _is_open(window: TimeWindow, local: datetime, country: str | None) -> bool:
    minute = local.hour * 60 + local.minute
    if local.weekday() not in window.days or not window.opens <= minute < window.closes:
        return False
    return window.holidays or not is_holiday(local.date(), country)


def _iter_openings(window: TimeWindow, at: datetime, clock: ZoneInfo) -> Iterator[datetime]:
    """Yield the moments, in UTC, at which the window opens in this zone, holidays ignored."""
    today = at.astimezone(clock).date()
    opens = time(window.opens // 60, window.opens % 60)
    for step in range(-1, _MAX_DAYS):
        day = today + timedelta(days=step)
        if day.weekday() in window.days:
            first = datetime.combine(day, opens, clock)
            yield resolve_local_time(first)
            # Where clocks are put back the opening time occurs twice; else this is the same moment.
            yield resolve_local_time(first.replace(fold=1))


@lru_cache(maxsize=256)
def _load_holidays(country: str, year: int) -> frozenset[date]:
    # Imported here, because the library is large, and a daemon without messages never needs it.
    import holidays  # noqa: PLC0415

    try:
        return frozenset(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()
