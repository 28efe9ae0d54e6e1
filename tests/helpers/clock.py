"""A clock that moves only when a test advances it, and then wakes sleepers in due order."""

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

    ``busy`` holds functions that return whether work is under way in other threads, which the
    event loop can't see. Time does not advance while one of them returns True.
    """

    def __init__(self, start: datetime = MIDDAY) -> None:
        self._start = start
        self._passed = 0  # whole microseconds: sums of floats drift
        self._set_by = timedelta()
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self.busy: list[Callable[[], bool]] = []

    def now(self) -> datetime:
        """Return the present moment of the clock, aware, in UTC."""
        return self._start + timedelta(microseconds=self._passed) + self._set_by

    def monotonic(self) -> float:
        """Return the seconds that the clock was advanced since it was made."""
        return self._passed / MICROSECONDS

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was advanced by ``seconds``."""
        if seconds <= 0:  # as asyncio.sleep(): the other tasks get a turn
            await asyncio.sleep(0)
            return
        # Rounded up: a sleeper that wakes a microsecond early would find that nothing is due.
        due = self._passed + math.ceil(seconds * MICROSECONDS)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Advance the clock; wake each sleeper at its moment, with the loop settled in between."""
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
        """Advance the clock in one step, as after a suspend: sleepers that are due wake late."""
        await self.settle()
        self._passed += round(seconds * MICROSECONDS)
        while self._sleepers and self._sleepers[0][0] <= self._passed:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        await self.settle()

    def set_back(self, seconds: float) -> None:
        """Set the wall clock back, as an operator or a time server does; no time elapses."""
        self._set_by -= timedelta(seconds=seconds)

    async def settle(self) -> None:
        """Return when no task can continue before time advances or something happens outside."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0)
            # asyncio's own queue of callbacks: nothing public says whether the loop has work.
            if getattr(loop, "_ready", ()):
                continue
            if not any(busy() for busy in self.busy):
                return
            await asyncio.sleep(0.0002)  # another thread works: real time must pass

    @property
    def sleepers(self) -> int:
        """Return how many tasks wait for this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)
