"""How moments and JSON documents are written to columns, and read back."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


_WIDTH: Final = len("YYYY-MM-DDTHH:MM:SS.mmmZ")


@lru_cache(maxsize=256)  # a job writes the same moment into many columns
def format_timestamp(at: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`, cut (not rounded) to milliseconds.

    Raises ValueError for a naive moment: it could mean any hour.
    """
    # One width and one zone, so that SQLite can compare and sort moments as text.
    if at.tzinfo is None:
        message = f"{at!r} has no time zone, so it can not be stored"
        raise ValueError(message)
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read a moment that `format_timestamp` wrote, as aware UTC.

    Raises ValueError for any other shape.
    """
    # `fromisoformat` alone would take other shapes, which would not compare as text.
    if len(text) != _WIDTH or not text.endswith("Z"):
        message = f"{text!r} is not a moment as this database writes it"
        raise ValueError(message)
    return datetime.fromisoformat(text)


def utc_now() -> datetime:
    """Return the present moment in UTC: the default where no clock is injected."""
    return datetime.now(UTC)


def encode_json(document: Mapping[str, object]) -> str:
    """Return a document as JSON text with sorted keys; NaN and infinities become null.

    Raises ``TypeError`` for what is neither text, number, flag, list nor mapping.
    """
    return _encoder.encode(document).decode()


def _to_plain_type(value: object) -> object:
    """Return the built-in value of a subclass of str, int or float, as a plugin may give one."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    message = f"a document can't hold {type(value).__name__}"
    raise TypeError(message)


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_to_plain_type)
