"""The moment that a local time means, also on the two nights when clocks are put on or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_SECOND = timedelta(seconds=1)


def resolve_local_time(local: datetime) -> datetime:
    """Return the moment, in UTC, of a local time; without ``tzinfo``: by the machine's own zone.

    Where the clocks skip it, that is the first moment that exists after it. Where they are put back
    the time comes twice, and ``fold`` tells which one is meant: the first, unless it is 1.
    """
    moment = local.astimezone(UTC)
    if _tell_wall_time(moment, local) == local.replace(tzinfo=None):
        return moment
    return _find_resumption(local)


def _find_resumption(skipped: datetime) -> datetime:
    """Return when the clocks resume that skip this time: between its two readings.

    Which of them is the earlier depends on where the zone comes from (the system's or a ZoneInfo).
    """
    before, after = sorted(
        skipped.replace(fold=fold, microsecond=0).astimezone(UTC) for fold in (0, 1)
    )
    wall = skipped.replace(tzinfo=None)
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if _tell_wall_time(middle, skipped) < wall:
            before = middle
        else:
            after = middle
    return after


def _tell_wall_time(moment: datetime, like: datetime) -> datetime:
    """Return what a clock in the zone of ``like`` shows at a moment."""
    return moment.astimezone(like.tzinfo).replace(tzinfo=None)
