"""Faults of a process, each at a signal: imported by every Python of a root that a test boots.

A `.pth` file beside it says so. It imports next to nothing, as the service's own processes read it.
"""

from __future__ import annotations

import signal
import time

HANG = signal.SIGUSR1
TAKE_MEMORY = signal.SIGUSR2
_CHUNK_BYTES = 16 << 20


def hang_in_main_thread(*_: object) -> None:
    """Never return: signal handlers run in the main thread, which is that of the event loop."""
    while True:
        time.sleep(3600)  # the line that the journal has to name


def take_all_memory(*_: object) -> None:
    """Take memory, and use it, until the kernel ends a process."""
    taken = []
    while True:
        taken.append(b"x" * _CHUNK_BYTES)


signal.signal(HANG, hang_in_main_thread)
signal.signal(TAKE_MEMORY, take_all_memory)
