"""Reads dates of a list, whose order of day and month the column itself must show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

_TIME: Final = r"(?:[T ,]+\d{1,2}[:.h]\d{2}(?::?\d{2}(?:[.,]\d+)?)?\s*(?:[ap]\.?\s?m\.?)?)?"
_ZONE: Final = r"\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_YEAR_FIRST: Final = re.compile(
    rf"(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}}){_TIME}{_ZONE}",
    re.IGNORECASE,
)
_COMPACT: Final = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})")
_YEAR_LAST: Final = re.compile(
    rf"(?P<first>\d{{1,2}})\s?([-/.])\s?(?P<second>\d{{1,2}})\s?\2\s?(?P<year>\d{{4}}|\d{{2}})"
    rf"{_TIME}{_ZONE}",
    re.IGNORECASE,
)
_DAY_AND_NAME: Final = re.compile(
    r"(?P<day>\d{1,2})(?:[-/. ]|\s+de\s+)+(?P<name>[^\W\d_]{3,})\.?(?:[-/., ]|\s+del?\s+)+"
    rf"(?P<year>\d{{4}}|\d{{2}}){_TIME}{_ZONE}",
    re.IGNORECASE,
)
_NAME_AND_DAY: Final = re.compile(
    r"(?P<name>[^\W\d_]{3,})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+"
    rf"(?P<year>\d{{4}}){_TIME}{_ZONE}",
    re.IGNORECASE,
)
_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            *("ene jan", "feb fev", "mar", "abr apr", "may mai", "jun"),
            *("jul", "ago aug", "sep set", "oct out", "nov", "dic dez dec"),
        ),
        1,
    )
    for name in names.split()
}
_MONTHS_IN_A_YEAR: Final = 12
_CENTURY: Final = 100


class DateOrder(StrEnum):
    """The order of day and month in a column's dates, such as 01/02/26."""

    DAY_FIRST = "day_first"
    MONTH_FIRST = "month_first"


class DateColumn(Struct, frozen=True):
    """What the cells of a column show about their order.

    ``order`` is None where no cell decides it, or where cells contradict each other; ``open`` is
    how many cells can't be read without it, ``examples`` are the first of them.
    """

    order: DateOrder | None
    open: int
    examples: tuple[str, ...]


def read_date_column(cells: Iterable[str]) -> DateColumn:
    """Return the order of a column's dates: a number over 12 can be a day only."""
    seen: set[DateOrder] = set()
    undecided = 0
    examples: list[str] = []
    for cell in cells:
        match = _YEAR_LAST.fullmatch(cell.strip())
        if match is None:
            continue
        first, second = int(match["first"]), int(match["second"])
        if first > _MONTHS_IN_A_YEAR >= second:
            seen.add(DateOrder.DAY_FIRST)
        elif second > _MONTHS_IN_A_YEAR >= first:
            seen.add(DateOrder.MONTH_FIRST)
        elif first != second:
            undecided += 1
            examples = [*examples, cell.strip()][:3]
    if len(seen) == 1:
        return DateColumn(seen.pop(), 0, ())
    return DateColumn(None, undecided, tuple(examples))


def needs_order(text: str) -> bool:
    """Return whether a cell is a date whose day and month look alike."""
    match = _YEAR_LAST.fullmatch(text.strip())
    if match is None:
        return False
    first, second = int(match["first"]), int(match["second"])
    return first != second and max(first, second) <= _MONTHS_IN_A_YEAR


@lru_cache(maxsize=4096)
def read_date(text: str, order: DateOrder | None, today: date) -> date | None:
    """Return the date in a cell, without its time; None for what is none, or is in the future.

    A cell that shows its own order needs none; one that does not is None without ``order``.
    """
    text = text.strip()
    if match := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text):
        found = _build(match["year"], int(match["month"]), int(match["day"]), today)
    elif match := _YEAR_LAST.fullmatch(text):
        found = _read_ordered(match, order, today)
    elif match := _DAY_AND_NAME.fullmatch(text) or _NAME_AND_DAY.fullmatch(text):
        month = _MONTHS.get(match["name"][:3].lower(), 0)
        found = _build(match["year"], month, int(match["day"]), today)
    else:
        return None
    # Somewhere it is tomorrow already.
    return found if found and found <= today + timedelta(days=1) else None


def _read_ordered(match: re.Match[str], order: DateOrder | None, today: date) -> date | None:
    first, second = int(match["first"]), int(match["second"])
    if first == second or first > _MONTHS_IN_A_YEAR:
        order = DateOrder.DAY_FIRST
    elif second > _MONTHS_IN_A_YEAR:
        order = DateOrder.MONTH_FIRST
    if order is None:
        return None
    day, month = (first, second) if order is DateOrder.DAY_FIRST else (second, first)
    return _build(match["year"], month, day, today)


def _build(year: str, month: int, day: int, today: date) -> date | None:
    """Return the date; two digits of a year are those of this century, or of the last one."""
    whole = int(year)
    if len(year) == 2:  # noqa: PLR2004 - as 26 for 2026
        whole += today.year - today.year % _CENTURY
        if whole > today.year + 1:
            whole -= _CENTURY
    try:
        return date(whole, month, day)
    except ValueError:
        return None
