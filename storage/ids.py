"""Names for records: a prefix that tells the kind and a ULID that sorts by time."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread
_LENGTH: Final = 26
_RANDOM_BYTES: Final = 10


def new_id(prefix: str, at: datetime) -> str:
    """Make `prefix_` + 26 characters: 48 bits of milliseconds, then 80 random bits."""
    milliseconds = int(at.timestamp() * 1000)
    number = int.from_bytes(milliseconds.to_bytes(6) + os.urandom(_RANDOM_BYTES))
    digits = (_CROCKFORD[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"
