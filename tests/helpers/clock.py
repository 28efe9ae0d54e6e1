"""A clock that stands still until a test advances it, and then wakes sleepers in due order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MIDDAY = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
"""A Tuesday, noon in Buenos Aires."""

MICROSECONDS = 1_000_000


class FakeClock:
    """A :class:`daemon.api.clock.Clock` that only moves by :meth:`advance`.

    ``busy`` holds questions such as "is a write under way?": work in other threads that the loop
    can't see. Time does not move on while one of them answers yes.
    """

    def __init__(self, start: datetime = MIDDAY) -> None:
        self._start = start
        self._passed = 0  # whole microseconds: what is added up in floats drifts
        self._set_by = timedelta()
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self.busy: list[Callable[[], bool]] = []

    def now(self) -> datetime:
        """Return the moment at which the clock stands, aware, in UTC."""
        return self._start + timedelta(microseconds=self._passed) + self._set_by

    def monotonic(self) -> float:
        """Return the seconds that were advanced since this clock was made."""
        return self._passed / MICROSECONDS

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        due = self._passed + math.ceil(seconds * MICROSECONDS)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own moment and letting the loop settle in between."""
        target = self._passed + round(seconds * MICROSECONDS)
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():  # its task was cancelled
                continue
            self._passed = due
            woken.set_result(None)
            await self.settle()
        self._passed = target
        await self.settle()

    async def leap(self, seconds: float) -> None:
        """Move on at once, as a machine does that was suspended: whoever was due wakes late."""
        await self.settle()
        self._passed += round(seconds * MICROSECONDS)
        while self._sleepers and self._sleepers[0][0] <= self._passed:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        await self.settle()

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back, as an operator or a time server does; no time passes by it."""
        self._set_by -= timedelta(seconds=seconds)

    async def settle(self) -> None:
        """Return when no task can go on without time passing or the outside world acting."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)
            if getattr(loop, "_ready", ()):
                continue
            if not any(busy() for busy in self.busy):
                return
            await asyncio.sleep(0.0002)  # another thread works: real time must pass

    @property
    def sleepers(self) -> int:
        """Return how many tasks wait for this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)
