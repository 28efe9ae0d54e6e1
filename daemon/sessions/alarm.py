"""The one timer of a session: it rings at a moment of the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from daemon.api.clock import Clock


class ClockTimer:
    """Rings once at the moment it was last set to."""

    def __init__(self, clock: Clock, callback: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._callback = callback
        self._due: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def schedule(self, due: datetime | None) -> None:
        """Ring at ``due`` and at no other moment; None: do not ring."""
        if due == self._due:
            return
        if self._task is not None:
            self._task.cancel()
        self._due = due
        self._task = None if due is None else asyncio.create_task(self._wait(due))

    async def _wait(self, due: datetime) -> None:
        await self._clock.sleep((due - self._clock.now()).total_seconds())
        self._due = self._task = None  # from here on nobody can cancel the ringing
        await self._callback()
