"""What will happen on a simulated line, at its moment on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from daemon.api.clock import Clock


class Agenda:
    """Deeds that are due. ``on_fault`` hears of a deed that raised: the line can't go on."""

    def __init__(self, clock: Clock, on_fault: Callable[[Exception], None]) -> None:
        self._clock = clock
        self._on_fault = on_fault
        self._waiting: set[asyncio.Task[None]] = set()

    def after(self, seconds: float, deed: Callable[[], None]) -> None:
        """Do ``deed`` in so many seconds of the clock."""
        self.at(self._clock.now() + timedelta(seconds=seconds), deed)

    def at(self, due: datetime, deed: Callable[[], None]) -> None:
        """Do ``deed`` at ``due``, or as soon as possible where that is past."""
        task = asyncio.create_task(self._wait(due, deed))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def clear(self) -> None:
        """Forget everything that has not happened yet. A deed may clear the agenda itself."""
        waiting = self._waiting - {_current()}
        for task in waiting:
            task.cancel()

    async def _wait(self, due: datetime, deed: Callable[[], None]) -> None:
        await self._clock.sleep((due - self._clock.now()).total_seconds())
        try:
            deed()
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner must hear of it
            self._on_fault(error)


def _current() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return None
