"""How moments and JSON documents stand in columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """Read a moment that `format_timestamp` wrote, as aware UTC.

    Raises ValueError for any other shape.
    """
    if len(text) != _WIDTH or not text.endswith("Z"):
        message = f"{text!r} is not a moment as this database writes it"
        raise ValueError(message)
    return datetime.fromisoformat(text)


def utc_now() -> datetime:
    """Tell the time, where no clock is handed in."""
    return datetime.now(UTC)


def encode_json(document: Mapping[str, object]) -> str:
    """Return the text of a document; a number that JSON has no word for (NaN) is null.

    Raises ``TypeError`` for what is neither text, number, flag, list nor mapping.
    """
    return _encoder.encode(document).decode()


def _to_plain_type(value: object) -> object:
    """Return what a plugin's own kind of text or number is underneath."""
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    message = f"a document can't hold {type(value).__name__}"
    raise TypeError(message)


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_to_plain_type)
