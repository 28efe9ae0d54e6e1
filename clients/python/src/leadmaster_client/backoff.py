"""How long to wait before connecting again: longer each time, and not all clients at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random


@dataclass(slots=True)
class Backoff:
    """Waits between `first` and `most` seconds, doubling; each is cut by chance, to half at most.

    One belongs to one stream.
    """

    first: float = 0.5
    most: float = 30.0
    rng: Random = field(default_factory=Random)
    failures: int = 0

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        # The exponent is capped: after days of failures the power alone would be a huge number.
        whole = min(self.most, math.ldexp(self.first, min(self.failures, 32)))
        self.failures += 1
        return whole * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with short waits again."""
        self.failures = 0
