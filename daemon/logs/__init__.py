"""The log: how its lines are made, and what is never in them."""

from __future__ import annotations

from daemon.logs.lines import SECRET_KEYS, configure, drop_secrets, mask_numbers
from daemon.logs.repeats import Repeats

__all__ = ["SECRET_KEYS", "Repeats", "configure", "drop_secrets", "mask_numbers"]
