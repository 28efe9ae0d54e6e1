"""Makes record ids: a prefix for the kind of record, and a ULID, which sorts by time."""

from __future__ import annotations

import base64
import os
import threading
from datetime import datetime
from typing import Final

_CROCKFORD: Final = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread
_TO_CROCKFORD: Final = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUV", _CROCKFORD)
_LENGTH: Final = 26
_ENCODED_BYTES: Final = 20  # in base 32 without padding: 32 characters, of which an id has the last
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
    digits = base64.b32hexencode(number.to_bytes(_ENCODED_BYTES)).translate(_TO_CROCKFORD)
    return f"{prefix}_{digits[-_LENGTH:].decode()}"
