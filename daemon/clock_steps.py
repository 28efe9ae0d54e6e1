"""Detects steps of the wall clock, and moves stored deadlines so that waits keep their length."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.background import get_seconds_to_tick, run_in_background
from daemon.events import ClockStepped
from daemon.sessions import Sessions
from storage import deadlines
from storage.db import Database
from storage.tx import Tx

log = structlog.get_logger("clock")

INTERVAL_SECONDS: Final = 5.0
SMALLEST_STEP: Final = timedelta(seconds=1)
"""Corrections by a time server are smaller, and make no wait noticeably longer."""
_SUBJECT: Final = "installation"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ClockStepWatcher:
    """Compares the wall clock with the monotonic clock every few seconds, and handles its steps.

    After a step back, deadlines and budget entries move back by as much, so that a wait of ten
    minutes stays one of ten minutes. After a step forward, or a suspend, every sleeping timer
    checks at once whether it is due, and budgets last as long as without it.
    """

    def __init__(self, clock: Clock, database: Database, sessions: Sessions) -> None:
        self._clock = clock
        self._database = database
        self._sessions = sessions
        self._looking = asyncio.Lock()
        self._seen = clock.monotonic()
        self._lowest, self._highest = self._measure_offset()

    async def recover(self) -> None:
        """Move deadlines back where the clock was set back while the daemon was down.

        Call it before anything that waits starts.
        """
        # A monotonic clock does not survive a restart. The newest event does: it cannot lie in the
        # future, so the clock was set back by at least the difference.
        newest = await self._database.read(deadlines.get_newest_event_time)
        now = self._clock.now()
        if newest is None or newest - now < SMALLEST_STEP:
            return
        by = newest - now

        def job(tx: Tx) -> None:
            deadlines.move_deadlines_back(tx, by, now=now, seen=now)
            deadlines.move_session_deadlines_back(tx, by)

        log.warning("clock_set_back", seconds=by.total_seconds(), while_running=False)
        await self._database.write(job)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the clock for the length of the block."""
        async with run_in_background(self._run(), "clock-steps"):
            yield

    async def _run(self) -> None:
        while True:
            wait = get_seconds_to_tick(INTERVAL_SECONDS, self._clock.monotonic())
            await self._clock.sleep(wait)
            try:
                await self.look()
            except Exception:
                # A full disk, for instance. The offset is unchanged then, so that the next look
                # tries again.
                log.exception("clock_step_failed")

    async def look(self) -> None:
        """Compare the clocks once, and handle a step since the last comparison."""
        # One at a time: a step that two handle at once would move everything twice.
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        lowest, highest = self._measure_offset()
        now, seen = self._clock.now(), self._seen
        elapsed = timedelta(seconds=self._clock.monotonic() - seen)
        if self._lowest - highest >= SMALLEST_STEP:
            await self._follow_back(self._lowest - highest, now, now - elapsed)
        elif lowest - self._highest >= SMALLEST_STEP:
            await self._follow_on(lowest - self._highest, now, now - elapsed)
        else:
            # Keep the old bounds, so that many small steps add up to one that counts.
            lowest, highest = self._lowest, self._highest
        self._lowest, self._highest = lowest, highest
        self._seen = self._clock.monotonic()

    async def _follow_back(self, by: timedelta, now: datetime, seen: datetime) -> None:
        log.warning("clock_set_back", seconds=by.total_seconds(), while_running=True)

        def job(tx: Tx) -> None:
            deadlines.move_deadlines_back(tx, by, now=now, seen=seen)
            _emit_step(tx, by=-by, now=now)

        await self._database.write(job)
        await self._sessions.follow_clock(by, seen)

    async def _follow_on(self, by: timedelta, now: datetime, seen: datetime) -> None:
        log.info("clock_set_on", seconds=by.total_seconds())

        def job(tx: Tx) -> None:
            deadlines.move_budgets_on(tx, by, seen=seen)
            _emit_step(tx, by=by, now=now)

        # Before the sessions look at their deadlines: a ban's 14 days are longer by as much.
        await self._database.write(job)
        await self._sessions.follow_clock(timedelta(), now)

    def _measure_offset(self) -> tuple[timedelta, timedelta]:
        """Return the least and the most by which the wall clock is ahead of the monotonic one."""
        # A busy machine may pause between two readings: a single number could be off by that.
        before = self._clock.monotonic()
        wall = self._clock.now() - _EPOCH
        after = self._clock.monotonic()
        return wall - timedelta(seconds=after), wall - timedelta(seconds=before)


def _emit_step(tx: Tx, *, by: timedelta, now: datetime) -> None:
    """Emit the step in seconds, negative for a step back; sleeping timers wake up by this event."""
    tx.emit(ClockStepped(subject=_SUBJECT, at=now, seconds=by.total_seconds()))
