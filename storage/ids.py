"""Makes record ids: a prefix for the kind and a ULID that sorts by time."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread
_LENGTH: Final = 26
_RANDOM_BYTES: Final = 9  # and one zero byte before them, so that counting up never overflows


class _Sequence:
    """The last number given: within one millisecond the next one counts up from it.

    So ids sort in the order in which this process gave them, and a queue is first in, first out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = -1
        self._tail = 0

    def number(self, milliseconds: int) -> int:
        with self._lock:
            if milliseconds == self._milliseconds:
                self._tail += 1
            else:
                self._milliseconds = milliseconds
                self._tail = int.from_bytes(os.urandom(_RANDOM_BYTES))
            return milliseconds << 80 | self._tail


_sequence = _Sequence()


def new_id(prefix: str, at: datetime) -> str:
    """Make `prefix_` + 26 characters: 48 bits of milliseconds, then 80 that sort and differ."""
    number = _sequence.number(int(at.timestamp() * 1000))
    digits = (_CROCKFORD[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
    return f"{prefix}_{''.join(digits)}"
