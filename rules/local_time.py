"""Resolves a local time to a moment in UTC, also around the changes of daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_SECOND = timedelta(seconds=1)


def resolve_local_time(local: datetime) -> datetime:
    """Return the moment, in UTC, of a local time; without ``tzinfo``, in the machine's own zone.

    A time that the clocks skip is the first moment after the gap. Of a time that occurs twice
    ``fold`` chooses: the first, unless it is 1.
    """
    moment = local.astimezone(UTC)
    # A skipped time does not survive the way there and back.
    if _to_wall_time(moment, local) == local.replace(tzinfo=None):
        return moment
    return _find_resumption(local)


def _find_resumption(skipped: datetime) -> datetime:
    """Return the first moment, in UTC, after the gap that this local time is in."""
    # The gap's end lies between the two readings of the time. Which is the earlier one depends on
    # where the zone comes from (the system or a ZoneInfo).
    before, after = sorted(
        skipped.replace(fold=fold, microsecond=0).astimezone(UTC) for fold in (0, 1)
    )
    wall = skipped.replace(tzinfo=None)
    # Bisected to the second: no module says where a zone's next transition is.
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if _to_wall_time(middle, skipped) < wall:
            before = middle
        else:
            after = middle
    return after


def _to_wall_time(moment: datetime, like: datetime) -> datetime:
    """Return the naive local time of a moment in the zone of ``like``."""
    return moment.astimezone(like.tzinfo).replace(tzinfo=None)
