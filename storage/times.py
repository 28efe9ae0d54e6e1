"""Timestamps in the database: UTC text of fixed width that sorts by time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_WIDTH: Final = len("YYYY-MM-DDTHH:MM:SS.mmmZ")


def format_timestamp(at: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`, cut (not rounded) to milliseconds.

    Raises ValueError for a naive moment: it could mean any hour.
    """
    if at.tzinfo is None:
        message = f"{at!r} has no time zone, so it can not be stored"
        raise ValueError(message)
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read a moment that `stamp` wrote, as aware UTC. Raises ValueError for any other shape."""
    if len(text) != _WIDTH or not text.endswith("Z"):
        message = f"{text!r} is not a moment as this database writes it"
        raise ValueError(message)
    return datetime.fromisoformat(text)


def utc_now() -> datetime:
    """Tell the time, where no clock is handed in."""
    return datetime.now(UTC)
