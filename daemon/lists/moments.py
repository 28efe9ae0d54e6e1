"""Reads moments of a list: a date with its time of day, or a whole day."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final

from msgspec import Struct

from daemon.lists.dates import DateOrder, read_date

_TIME_OF_DAY: Final = re.compile(
    r"(?:^|[T ,])\s*(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[ap])?(?:\.?\s?m\.?)?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?$",
    re.IGNORECASE,
)
_UNIX_SECONDS: Final = re.compile(r"\d{10}")
_UNIX_MILLISECONDS: Final = re.compile(r"\d{13}")
_HALF_DAY: Final = 12


class Moment(Struct, frozen=True):
    """A moment in UTC; of a ``whole_day``, the first one of the day."""

    at: datetime
    whole_day: bool = False

    @property
    def latest(self) -> datetime:
        """The last moment that is meant."""
        return self.at + timedelta(days=1, seconds=-1) if self.whole_day else self.at


def read_moment(text: str, order: DateOrder | None, zone: tzinfo, today: date) -> Moment | None:
    """Return the moment in a cell; None for what is none, or is later than ``today``.

    A time without a zone of its own is one of ``zone``; ten digits are seconds of Unix time, and
    thirteen are milliseconds. A cell whose day and month look alike needs ``order``.
    """
    text = text.strip()
    if _UNIX_SECONDS.fullmatch(text):
        return _from_unix_time(int(text), today)
    if _UNIX_MILLISECONDS.fullmatch(text):
        return _from_unix_time(int(text) // 1000, today)
    day = read_date(text, order, today)
    if day is None:
        return None
    match = _TIME_OF_DAY.search(text)
    if match is None:
        return Moment(_to_utc(datetime.combine(day, time(), zone)), whole_day=True)
    found = _read_time(match)
    own_zone = _read_zone(match["zone"]) if match["zone"] else zone
    if found is None or own_zone is None:
        return None
    return Moment(_to_utc(datetime.combine(day, found, own_zone)))


def _from_unix_time(seconds: int, today: date) -> Moment | None:
    at = datetime.fromtimestamp(seconds, UTC)
    return Moment(at) if at.date() <= today + timedelta(days=1) else None


def _read_time(match: re.Match[str]) -> time | None:
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half:
        if not 1 <= hour <= _HALF_DAY:
            return None
        hour = hour % _HALF_DAY + (_HALF_DAY if half == "p" else 0)
    try:
        return time(hour, int(match["minute"]), int(match["second"] or 0))
    except ValueError:
        return None


def _read_zone(text: str) -> tzinfo | None:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if offset >= timedelta(days=1):
        return None
    return timezone(-offset if text[0] == "-" else offset)


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
