"""How long a session waits before it connects again: longer each time, and never in step."""

from __future__ import annotations

from random import Random

FIRST_SECONDS = 2.0
CAP_SECONDS = 900.0
MOST_DOUBLINGS = 20  # far past the cap; keeps the power small

STABLE_SECONDS = 60.0
"""Only so long a time in ``ready`` makes the next wait short again."""


def delay(attempts: int, rng: Random) -> float:
    """Return seconds to wait after ``attempts`` reconnects in a row, in whole milliseconds.

    Between half and all of 2, 4, 8 … seconds, at most 15 minutes.
    """
    longest = min(CAP_SECONDS, FIRST_SECONDS * 2 ** min(attempts, MOST_DOUBLINGS))
    return round(rng.uniform(longest / 2, longest), 3)
