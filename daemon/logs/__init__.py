"""The log: its format, and what is removed from its lines."""

from __future__ import annotations

from daemon.logs.processors import SECRET_KEYS, configure_logging, drop_secrets, mask_phone_numbers
from daemon.logs.rate_limit import RepeatedErrorFilter

__all__ = [
    "SECRET_KEYS",
    "RepeatedErrorFilter",
    "configure_logging",
    "drop_secrets",
    "mask_phone_numbers",
]
