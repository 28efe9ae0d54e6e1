"""The one timer of a session: it rings at a moment of the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from daemon.api.clock import Clock


class Alarm:
    """Rings once at the moment it was last set to."""

    def __init__(self, clock: Clock, ring: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: datetime | None = None
        self._waiting: asyncio.Task[None] | None = None

    def set(self, due: datetime | None) -> None:
        """Ring at ``due`` and at no other moment; None: do not ring."""
        if due == self._due:
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._due = due
        self._waiting = None if due is None else asyncio.create_task(self._wait(due))

    async def _wait(self, due: datetime) -> None:
        await self._clock.sleep((due - self._clock.now()).total_seconds())
        self._due = self._waiting = None  # from here on nobody can cancel the ringing
        await self._ring()
