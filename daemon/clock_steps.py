"""Watches the wall clock against elapsed time, and keeps every wait as long as it was meant."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.background import run_in_background
from daemon.events import ClockStepped
from daemon.sessions import Sessions
from storage import deadlines
from storage.db import Database
from storage.tx import Tx

log = structlog.get_logger("clock")

INTERVAL_SECONDS: Final = 5.0
SMALLEST_STEP: Final = timedelta(seconds=1)
"""What time servers correct beneath this makes no wait noticeably longer."""
_SUBJECT: Final = "installation"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ClockStepWatcher:
    """Looks at the clock every few seconds, and follows it where it was set back or on.

    Set back: whatever waits for a length of time goes on as long as was meant, and budgets count as
    before. Set on, or after a suspend: whoever sleeps looks at once whether it is due.
    """

    def __init__(self, clock: Clock, database: Database, sessions: Sessions) -> None:
        self._clock = clock
        self._database = database
        self._sessions = sessions
        self._seen = clock.monotonic()
        self._lowest, self._highest = self._measure_offset()

    async def recover(self) -> None:
        """Follow a clock that was set back while the daemon was down; before anything starts.

        It was set back by at least what separates it from the newest event.
        """
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
        """Watch the clock beside the block."""
        async with run_in_background(self._run(), "clock-steps"):
            yield

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(INTERVAL_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("clock_step_failed")

    async def look(self) -> None:
        """Compare the clock with how it stood at the last look, and follow it."""
        lowest, highest = self._measure_offset()
        now, seen = self._clock.now(), self._seen
        elapsed = timedelta(seconds=self._clock.monotonic() - seen)
        if self._lowest - highest >= SMALLEST_STEP:
            await self._follow_back(self._lowest - highest, now, now - elapsed)
        elif lowest - self._highest >= SMALLEST_STEP:
            log.info("clock_set_on", seconds=(lowest - self._highest).total_seconds())
            await self._sessions.follow_clock(timedelta(), now)
            await self._database.write(partial(_emit_step, by=lowest - self._highest, now=now))
        else:
            lowest, highest = self._lowest, self._highest  # so that many small steps add up
        self._lowest, self._highest = lowest, highest
        self._seen = self._clock.monotonic()

    async def _follow_back(self, by: timedelta, now: datetime, seen: datetime) -> None:
        log.warning("clock_set_back", seconds=by.total_seconds(), while_running=True)

        def job(tx: Tx) -> None:
            deadlines.move_deadlines_back(tx, by, now=now, seen=seen)
            _emit_step(tx, by=-by, now=now)

        await self._database.write(job)
        await self._sessions.follow_clock(by, seen)

    def _measure_offset(self) -> tuple[timedelta, timedelta]:
        """Return between which bounds the wall clock is ahead of the seconds that never run back.

        A busy machine may let long pass between two readings: one number would be a guess.
        """
        before = self._clock.monotonic()
        wall = self._clock.now() - _EPOCH
        after = self._clock.monotonic()
        return wall - timedelta(seconds=after), wall - timedelta(seconds=before)


def _emit_step(tx: Tx, *, by: timedelta, now: datetime) -> None:
    """Tell by how much the clock was set on; whoever sleeps looks at the time again."""
    tx.emit(ClockStepped(subject=_SUBJECT, at=now, seconds=by.total_seconds()))
