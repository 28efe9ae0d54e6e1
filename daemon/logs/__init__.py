"""The log: how its lines are made, and what is never in them."""

from __future__ import annotations

from daemon.logs.processors import configure_logging
from daemon.logs.rate_limit import RepeatedErrorFilter
from daemon.logs.redact import SECRET_KEYS, drop_secrets, mask_phone_numbers

__all__ = [
    "SECRET_KEYS",
    "RepeatedErrorFilter",
    "configure_logging",
    "drop_secrets",
    "mask_phone_numbers",
]
