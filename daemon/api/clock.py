"""The clock port, and its two implementations: the system's time, and scaled time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    """The clock that every service uses, so that tests and demonstrations can inject another."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC; a wall clock may be set back or on."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of :meth:`monotonic`, also where the wall clock is changed."""
        ...


def _read_wall_clock() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's clock. ``read_wall`` returns the present moment; tests inject another."""

    def __init__(self, read_wall: Callable[[], datetime] = _read_wall_clock) -> None:
        self._read_wall = read_wall

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return self._read_wall()

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """A clock that starts at a given moment and runs at a given rate (2.0 is twice as fast).

    Only an installation whose sessions are all simulated may use one; others are refused at the
    start. Raises ValueError for a rate of 0 or less.
    """

    def __init__(self, start: datetime, rate: float = 1.0) -> None:
        if rate <= 0:
            msg = f"a clock's rate must be above 0, not {rate}"
            raise ValueError(msg)
        self._start = start.astimezone(UTC)
        self._rate = rate
        self._origin = time.monotonic()

    def now(self) -> datetime:
        """Return the start plus the scaled time that has passed since."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return scaled seconds since this clock was made."""
        return (time.monotonic() - self._origin) * self._rate

    async def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds`` of scaled time."""
        await asyncio.sleep(max(0.0, seconds) / self._rate)
