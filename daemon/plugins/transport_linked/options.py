"""The options of a linked session, and their check."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from msgspec import Struct

from daemon.api.transport import CannotOpen

SLOT = "{slot}"
"""In the path of a worker's socket: the number of the session's slot."""


class LinkedOptions(Struct, frozen=True):
    """The driver's name, the memory that a worker may use, and how long it may be silent.

    ``busy_timeout`` is how long a send waits for the call before it, in seconds: short, for a halt
    that comes meanwhile is not seen any more.
    With ``trace``, the worker records the shapes of frames into a file of the session's folder.
    ``worker_socket`` is the unix socket of the worker's systemd unit; None: it is a child.
    """

    driver: str = "neonize"
    memory_limit_mb: float = 512.0
    heartbeat_timeout: float = 30.0
    busy_timeout: float = 3.0
    trace: bool = False
    worker_socket: Path | None = None


def read_options(options: Mapping[str, object]) -> LinkedOptions:
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
        _read_switch(options, "trace"),
        _read_worker_socket(options),
    )


def choose_slot(
    settings: Mapping[str, object],
    options: Mapping[str, object],
    others: Sequence[Mapping[str, object]],
) -> Mapping[str, object]:
    """Return a new session's options with its slot: the lowest free one whose socket is there.

    Without a setting for the workers' sockets they stay as they are. Raises :class:`CannotOpen`
    where each slot has a session, or the one that was asked for.
    """
    if not (path := settings.get("worker_socket", "")):
        return options
    pattern = _check_socket_pattern(path)
    taken = {slot for each in others if (slot := _read_slot(each)) is not None}
    if (wanted := _read_slot(options)) is not None:
        if wanted in taken:
            raise CannotOpen(f"linked.slot: another session has slot {wanted}.")
        return options
    present = _list_present_slots(pattern)
    if free := sorted(present - taken):
        return {**options, "slot": free[0]}
    added = next(number for number in count(1) if number not in present | taken)
    raise CannotOpen(
        "No slot for a worker of a linked phone is free. Add one:"
        f" systemctl enable --now leadmaster-linked@{added}.socket"
    )


def _list_present_slots(pattern: str) -> set[int]:
    """Return the slots whose sockets are there."""
    before, _, after = pattern.partition(SLOT)
    folder, begin = before.rsplit("/", 1)
    try:
        names = [each.name for each in Path(folder or "/").iterdir()]
    except OSError:
        return set()
    found = re.compile(re.escape(begin) + r"([1-9]\d{0,5})" + re.escape(after))
    return {int(match[1]) for name in names if (match := found.fullmatch(name))}


def _read_worker_socket(options: Mapping[str, object]) -> Path | None:
    slot, path = _read_slot(options), options.get("worker_socket", "")
    if not path:
        if slot is not None:
            raise CannotOpen("linked.slot: has no meaning without the setting worker_socket.")
        return None
    pattern = _check_socket_pattern(path)
    if slot is None:
        raise CannotOpen("linked.slot: is missing: add the session anew, and it gets one.")
    return Path(pattern.replace(SLOT, str(slot)))


def _read_slot(options: Mapping[str, object]) -> int | None:
    slot = options.get("slot")
    if slot is not None and (isinstance(slot, bool) or not isinstance(slot, int) or slot < 1):
        raise CannotOpen(f"linked.slot: must be a number from 1, not {slot!r}.")
    return slot


def _check_socket_pattern(path: object) -> str:
    """Return the setting of the workers' sockets; raise :class:`CannotOpen` for a wrong one."""
    if isinstance(path, str) and path.startswith("/") and path.rpartition("/")[2].count(SLOT) == 1:
        return path
    raise CannotOpen(
        f"linked.worker_socket: must be a whole path with {SLOT} in its last part, not {path!r}."
    )


def _read_number(options: Mapping[str, object], name: str, default: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise CannotOpen(f"linked.{name}: must be a number above 0, not {value!r}.")
    return float(value)


def _read_switch(options: Mapping[str, object], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise CannotOpen(f"linked.{name}: must be true or false, not {value!r}.")
    return value
