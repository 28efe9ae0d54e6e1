"""Makes record ids: a prefix for the kind of record, and a ULID, which sorts by time."""

from __future__ import annotations

import os
import threading
from datetime import datetime
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread
# Two digits at a time: an import makes two ids for each of its people.
_PAIRS: Final = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_PAIR_BITS: Final = 10
_PAIR_MASK: Final = 2**_PAIR_BITS - 1
_SHIFTS: Final = tuple(range(120, -1, -_PAIR_BITS))  # of the 13 pairs of an id
_RANDOM_BYTES: Final = 9  # of the 10 that a ULID has: the first stays 0, so that + 1 can't overflow


class _Sequence:
    """Numbers for ids that sort in the order in which this process gave them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = -1
        self._tail = 0

    def number(self, milliseconds: int) -> int:
        with self._lock:
            # Counted up, not drawn again: a queue sorted by id has to be first in, first out.
            if milliseconds == self._milliseconds:
                self._tail += 1
            else:
                self._milliseconds = milliseconds
                self._tail = int.from_bytes(os.urandom(_RANDOM_BYTES))
            return milliseconds << 80 | self._tail


_sequence = _Sequence()


def new_id(prefix: str, at: datetime) -> str:
    """Return `prefix_` and 26 characters: 48 bits of milliseconds, then 80 random or counted."""
    number = _sequence.number(int(at.timestamp() * 1000))
    digits = [_PAIRS[number >> shift & _PAIR_MASK] for shift in _SHIFTS]
    return f"{prefix}_{''.join(digits)}"
