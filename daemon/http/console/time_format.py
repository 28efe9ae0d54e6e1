"""Times as people read them: how long ago or how soon, with the exact time beside it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from daemon.http.console.language import Language

ZONE_COOKIE = "zone"
_UNITS = (
    (timedelta(days=1), "days"),
    (timedelta(hours=1), "hours"),
    (timedelta(minutes=1), "minutes"),
)
NOW_LIMIT = timedelta(seconds=45)
"""Nearer than this is `now`; where seconds matter there is a countdown."""


def parse_zone(name: str, default: ZoneInfo) -> ZoneInfo:
    """Return the zone that a browser has sent; the default for an unknown name."""
    try:
        # From a cookie: anything may be in it, also a path or a name of 300 characters.
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return default


def format_relative(at: datetime, now: datetime, words: Language) -> str:
    """Return `5 min ago`, `in 2 h`, `now`: one unit, rounded down."""
    distance = abs(at - now)
    if distance < NOW_LIMIT:
        return words("time.now")
    direction = "in" if at > now else "ago"
    size, unit = next((each for each in _UNITS if distance >= each[0]), _UNITS[-1])
    return words(f"time.{direction}.{unit}", n=max(1, distance // size))


def format_exact(at: datetime, zone: ZoneInfo) -> str:
    """Return date and time in a zone, with the zone's city."""
    return (
        f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key.rpartition('/')[2].replace('_', ' ')}"
    )


def format_time_of_day(at: datetime, now: datetime, zone: ZoneInfo, words: Language) -> str:
    """Return the time of day; with the date if it is not today."""
    local, local_now = at.astimezone(zone), now.astimezone(zone)
    same_day = local.date() == local_now.date()
    return f"{local:%H:%M}" if same_day else _format_date(local, local_now, words)


def format_near_day(at: datetime, now: datetime, zone: ZoneInfo, words: Language) -> str:
    """Return `today 22:40`, `yesterday …`, `tomorrow …`; with the date where it is further away."""
    local, local_now = at.astimezone(zone), now.astimezone(zone)
    days = (local.date() - local_now.date()).days
    near = {-1: "yesterday", 0: "today", 1: "tomorrow"}.get(days)
    if near:
        return words(f"near_day.{near}", at=f"{local:%H:%M}")
    return _format_date(local, local_now, words)


def _format_date(local: datetime, local_now: datetime, words: Language) -> str:
    """Return date and time as people write them, with the year if it is not this one."""
    form = "this_year" if local.year == local_now.year else "other_year"
    return words(f"near_day.{form}", at=local)


def format_day(day: date, words: Language) -> str:
    """Return a date without a time, as people write it."""
    return words("near_day.day", at=day)


def render_time_element(at: datetime, now: datetime, zone: ZoneInfo, words: Language) -> Markup:
    """Return a `<time>` element, which a script keeps up to date."""
    return Markup('<time datetime="{}" title="{}" data-relative>{}</time>').format(
        at.isoformat(timespec="milliseconds"),
        format_exact(at, zone),
        format_relative(at, now, words),
    )
