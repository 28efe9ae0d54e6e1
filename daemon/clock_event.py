"""An event to wait for on the injected clock: returns when triggered, or after a timeout."""

from __future__ import annotations

import asyncio

from daemon.api.clock import Clock


class ClockEvent:
    """An event for one waiting task; triggered while nobody waits, it ends the next wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def trigger(self) -> None:
        """Wake the waiting task, now or at its next wait."""
        self._event.set()

    async def wait(self, seconds: float | None) -> None:
        """Return when triggered, or after ``seconds`` of the clock; None waits for the trigger."""
        if seconds is None:
            await self._event.wait()
        else:
            await self._wait_with_timeout(seconds)
        self._event.clear()

    async def _wait_with_timeout(self, seconds: float) -> None:
        # Both are tasks of ours: the sleep is of the injected clock, which no asyncio timeout
        # knows.
        waits = {
            asyncio.ensure_future(self._event.wait()),
            asyncio.ensure_future(self._clock.sleep(seconds)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
