"""The options of a linked session, and their check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.api.transport import CannotOpen

SLOT = "{slot}"
"""In the path of a worker's socket: the session's slot, or its name where it has none."""


@dataclass(frozen=True, slots=True)
class LinkedOptions:
    """The driver's name, the memory that a worker may use, and how long it may be silent.

    ``busy_timeout`` is how long a send waits for the call before it, in seconds: short, for a halt
    that comes meanwhile is not seen any more.
    ``worker_socket`` is the unix socket of the worker's systemd unit; None: it is a child.
    """

    driver: str = "neonize"
    memory_limit_mb: float = 512.0
    heartbeat_timeout: float = 30.0
    busy_timeout: float = 3.0
    worker_socket: Path | None = None


def read_options(session: str, options: Mapping[str, object]) -> LinkedOptions:
    """Return the options of a session; raise :class:`CannotOpen` for a wrong value."""
    defaults = LinkedOptions()
    driver = options.get("driver", defaults.driver)
    if not isinstance(driver, str) or not driver:
        raise CannotOpen(f"linked.driver: must be the name of a driver, not {driver!r}.")
    return LinkedOptions(
        driver,
        _read_number(options, "memory_limit_mb", defaults.memory_limit_mb),
        _read_number(options, "heartbeat_timeout", defaults.heartbeat_timeout),
        _read_number(options, "busy_timeout", defaults.busy_timeout),
        _read_worker_socket(session, options),
    )


def _read_worker_socket(session: str, options: Mapping[str, object]) -> Path | None:
    slot, path = options.get("slot"), options.get("worker_socket", "")
    if slot is not None and (isinstance(slot, bool) or not isinstance(slot, int) or slot < 1):
        raise CannotOpen(f"linked.slot: must be a number from 1, not {slot!r}.")
    if not path:
        if slot is not None:
            raise CannotOpen("linked.slot: has no meaning without the setting worker_socket.")
        return None
    if not isinstance(path, str) or not path.startswith("/") or SLOT not in path:
        raise CannotOpen(
            f"linked.worker_socket: must be a whole path with {SLOT} in it, not {path!r}."
        )
    return Path(path.replace(SLOT, session if slot is None else str(slot)))


def _read_number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise CannotOpen(f"linked.{name}: must be a number above 0, not {value!r}.")
    return float(value)
