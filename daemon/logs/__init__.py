"""The log: how its lines are made, and what is never in them."""

from __future__ import annotations

from daemon.logs.lines import SECRET_KEYS, configure_logging, drop_secrets, mask_phone_numbers
from daemon.logs.repeats import RepeatedErrorFilter

__all__ = [
    "SECRET_KEYS",
    "RepeatedErrorFilter",
    "configure_logging",
    "drop_secrets",
    "mask_phone_numbers",
]
