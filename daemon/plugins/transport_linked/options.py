"""The options of a linked session, and their check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.api.transport import CannotOpen


@dataclass(frozen=True, slots=True)
class LinkedOptions:
    """The driver's name, the memory that a worker may use, and how long it may be silent."""

    driver: str = "neonize"
    memory_limit_mb: float = 512.0
    heartbeat_timeout: float = 30.0


def read_options(options: Mapping[str, object]) -> LinkedOptions:
    """Return the options; raise :class:`CannotOpen` for a wrong value."""
    defaults = LinkedOptions()
    driver = options.get("driver", defaults.driver)
    if not isinstance(driver, str) or not driver:
        raise CannotOpen(f"linked.driver: must be the name of a driver, not {driver!r}.")
    return LinkedOptions(
        driver,
        _read_number(options, "memory_limit_mb", defaults.memory_limit_mb),
        _read_number(options, "heartbeat_timeout", defaults.heartbeat_timeout),
    )


def _read_number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise CannotOpen(f"linked.{name}: must be a number above 0, not {value!r}.")
    return float(value)
