"""Moments as people read them: how long ago or how soon, with the exact time beside it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from daemon.http.pages.language import Language

COOKIE = "zone"
_STEPS = (
    (timedelta(days=1), "days"),
    (timedelta(hours=1), "hours"),
    (timedelta(minutes=1), "minutes"),
)
NEAR = timedelta(seconds=45)
"""Nearer than this is `now`: nobody counts such seconds, and a ring does where they count."""


def zone_of(told: str, home: ZoneInfo) -> ZoneInfo:
    """Return the zone that a browser tells of; the house's own where it is none that is known."""
    try:
        return ZoneInfo(told)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return home


def relative(at: datetime, now: datetime, words: Language) -> str:
    """Return `5 min ago`, `in 2 h`, `now`: one unit, rounded down."""
    distance = abs(at - now)
    if distance < NEAR:
        return words("moments.now")
    way = "in" if at > now else "ago"
    step, unit = next((each for each in _STEPS if distance >= each[0]), _STEPS[-1])
    return words(f"moments.{way}.{unit}", n=max(1, distance // step))


def exact(at: datetime, zone: ZoneInfo) -> str:
    """Return the whole moment in one zone's time, and whose time that is."""
    return (
        f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key.rpartition('/')[2].replace('_', ' ')}"
    )


def clock(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """Return the time of day; the day before it where it is another one."""
    there, here = at.astimezone(zone), now.astimezone(zone)
    return f"{there:%H:%M}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"


def time_element(at: datetime, now: datetime, zone: ZoneInfo, words: Language) -> Markup:
    """Return a `<time>` that the page keeps up to date."""
    return Markup('<time datetime="{}" title="{}" data-relative>{}</time>').format(
        at.isoformat(timespec="milliseconds"), exact(at, zone), relative(at, now, words)
    )
