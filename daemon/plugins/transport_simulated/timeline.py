"""Runs the scheduled actions of a simulated session by the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.api.clock import Clock


class SimulationTimeline:
    """Runs scheduled actions. ``on_fault`` is called with the error of one that raised."""

    def __init__(self, clock: Clock, on_fault: Callable[[Exception], None]) -> None:
        self._clock = clock
        self._on_fault = on_fault
        self._waiting: set[asyncio.Task[None]] = set()

    def schedule_after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run ``action`` after so many seconds of the clock."""
        self.schedule_at(self._clock.now() + timedelta(seconds=seconds), action)

    def schedule_at(self, due: datetime, action: Callable[[], None]) -> None:
        """Run ``action`` at ``due``, or as soon as possible where that is past."""
        task = asyncio.create_task(self._run_at(due, action))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def clear(self) -> None:
        """Cancel every action that has not run yet."""
        # Not the present one: an action such as a disconnect clears the timeline itself.
        waiting = self._waiting - {_get_current_task()}
        for task in waiting:
            task.cancel()

    async def _run_at(self, due: datetime, action: Callable[[], None]) -> None:
        await self._clock.sleep((due - self._clock.now()).total_seconds())
        try:
            action()
        except Exception as error:  # noqa: BLE001 - any error ends the session, as on_fault decides
            self._on_fault(error)


def _get_current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return None
