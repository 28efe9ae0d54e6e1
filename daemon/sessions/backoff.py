"""How long a session waits before it connects again: longer each time, and never in step."""

from __future__ import annotations

from random import Random

BACKOFF_FIRST_SECONDS = 2.0
BACKOFF_CAP_SECONDS = 900.0
BACKOFF_MAX_DOUBLINGS = 20  # far past the cap; keeps the power small

STABLE_SECONDS = 60.0
"""Only so long a time in ``ready`` makes the next wait short again."""


def compute_backoff_delay(attempts: int, rng: Random) -> float:
    """Return seconds to wait after ``attempts`` reconnects in a row, in whole milliseconds.

    Between half and all of 2, 4, 8 … seconds, at most 15 minutes.
    """
    longest = min(
        BACKOFF_CAP_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(attempts, BACKOFF_MAX_DOUBLINGS)
    )
    return round(rng.uniform(longest / 2, longest), 3)
