"""The timers of one session: deadlines, silence, stable uptime, phone warnings, restrictions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from daemon.api.clock import Clock
from daemon.sessions.signal_mapping import ConnectionTrigger
from daemon.sessions.transitions import SHIPPED_SETTINGS, SessionTransitions
from daemon.settings import SessionSettings
from statemachines.session import (
    ACTIVE_STATES,
    PHONE_WARNING_DAYS,
    ConnectionEvent,
    ConnectionState,
    PhoneState,
    SendingState,
)
from storage.sessions import SessionRecord


class ClockTimer:
    """Calls back once, at the moment for which it was last scheduled."""

    def __init__(self, clock: Clock, callback: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._callback = callback
        self._due: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def schedule(self, due: datetime | None) -> None:
        """Call back at ``due``, and no longer at an earlier choice; None: not at all."""
        if due == self._due:
            return
        if self._task is not None:
            self._task.cancel()
        self._due = due
        self._task = None if due is None else asyncio.create_task(self._wait(due))

    def look_again(self) -> None:
        """Compute the wait again, after a step of the wall clock."""
        due, self._due = self._due, None
        self.schedule(due)

    async def _wait(self, due: datetime) -> None:
        await self._clock.sleep((due - self._clock.now()).total_seconds())
        self._due = self._task = None  # a schedule() by the callback must not cancel this task
        await self._callback()


TimerAction: TypeAlias = Callable[[SessionTransitions, datetime], SessionRecord | None]


class SessionTimer(Struct, frozen=True):
    """At ``due``, ``action`` returns the next record; None: store the present one again."""

    due: datetime
    action: TimerAction


class SessionTimers:
    """Finds the next timer of one session."""

    def __init__(self, settings: SessionSettings = SHIPPED_SETTINGS) -> None:
        self._silence_limit = timedelta(seconds=settings.silence_seconds)
        self._stable_uptime = timedelta(seconds=settings.stable_seconds)
        self._stable = False
        self._warned_days = 0
        self._since_ahead = timedelta()

    def on_connection_lost(self) -> None:
        """Restart the count of stable uptime."""
        self._stable = False
        self._since_ahead = timedelta()

    def move_back(self, record: SessionRecord, by: timedelta, now: datetime) -> None:
        """Keep the count of stable uptime, after the wall clock was set back by ``by``."""
        if record.since > now:
            self._since_ahead += by

    def on_phone_seen(self) -> None:
        """Restart the count of days without the phone."""
        self._warned_days = 0

    def find_next(
        self,
        record: SessionRecord,
        *,
        now: datetime,
        last_signal_at: datetime | None,
        retry_at: datetime | None,
    ) -> SessionTimer | None:
        """Return the next timer, or None where nothing changes by itself."""
        timers = list(self._list_timers(record, now, last_signal_at))
        if retry_at is not None:
            timers.append(SessionTimer(retry_at, _retry_store))
        return min(timers, key=lambda timer: timer.due, default=None)

    def _list_timers(
        self, record: SessionRecord, now: datetime, last_signal_at: datetime | None
    ) -> Iterator[SessionTimer]:
        if record.due_at is not None:
            yield SessionTimer(record.due_at, SessionTransitions.apply_deadline)
        if record.connection is ConnectionState.READY and last_signal_at is not None:
            yield SessionTimer(last_signal_at + self._silence_limit, _degrade_silent_connection)
        if record.connection is ConnectionState.READY and not self._stable:
            since = record.since - self._since_ahead
            yield SessionTimer(since + self._stable_uptime, self._mark_stable)
        if record.sending is SendingState.REPLY_ONLY and record.sending_until is not None:
            yield SessionTimer(record.sending_until, _end_restriction)
        linked = (
            record.phone_state is not PhoneState.UNLINKED and record.connection in ACTIVE_STATES
        )
        if linked and record.phone_seen_at is not None:
            yield from self._list_phone_warnings(record.phone_seen_at, now)

    def _list_phone_warnings(self, seen: datetime, now: datetime) -> Iterator[SessionTimer]:
        """Yield the next warning; of several that are due, the latest alone."""
        ahead = [days for days in PHONE_WARNING_DAYS if days > self._warned_days]
        past = [days for days in ahead if seen + timedelta(days=days) <= now]
        for days in past[-1:] or ahead[:1]:
            yield SessionTimer(seen + timedelta(days=days), partial(self._warn_phone_missing, days))

    def _warn_phone_missing(
        self, days: int, transitions: SessionTransitions, _: datetime
    ) -> SessionRecord:
        self._warned_days = days
        return transitions.mark_phone_missed(days)

    def _mark_stable(self, transitions: SessionTransitions, _: datetime) -> SessionRecord | None:
        self._stable = True
        return transitions.reset_backoff()


def _degrade_silent_connection(transitions: SessionTransitions, now: datetime) -> SessionRecord:
    return transitions.apply_trigger(
        ConnectionTrigger(ConnectionEvent.KEEPALIVE_LOST, "line_silent"), now
    )


def _end_restriction(transitions: SessionTransitions, _: datetime) -> SessionRecord:
    return transitions.reopen_sending("restriction_ended")


def _retry_store(_transitions: SessionTransitions, _now: datetime) -> None:
    return None
