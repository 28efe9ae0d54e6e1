"""What time alone changes of a session: deadlines, silence, stable uptime, a missing phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from daemon.sessions import backoff
from daemon.sessions.hearing import Heard
from daemon.sessions.life import Life
from statemachines.session import (
    ACTIVE,
    PHONE_WARNING_DAYS,
    ConnectionEvent,
    ConnectionState,
    PhoneState,
    SendingState,
)
from storage.sessions import SessionRecord

SILENCE = timedelta(seconds=45)
STABLE = timedelta(seconds=backoff.STABLE_SECONDS)

Change: TypeAlias = Callable[[Life, datetime], SessionRecord | None]


@dataclass(frozen=True, slots=True)
class Watch:
    """At ``due``, ``change`` says what becomes of the session; None: it is only stored again."""

    due: datetime
    change: Change


class Watches:
    """Everything that is due in one session, the soonest first."""

    def __init__(self) -> None:
        self._stable = False
        self._warned_days = 0

    def line_lost(self) -> None:
        """Begin to count stable uptime anew."""
        self._stable = False

    def phone_seen(self) -> None:
        """Begin to count the days without the phone anew."""
        self._warned_days = 0

    def next(
        self,
        record: SessionRecord,
        *,
        now: datetime,
        last_frame: datetime | None,
        store_again_at: datetime | None,
    ) -> Watch | None:
        """Return what is due next, or None where only somebody else can change anything."""
        watches = list(self._of(record, now, last_frame))
        if store_again_at is not None:
            watches.append(Watch(store_again_at, _store_again))
        return min(watches, key=lambda watch: watch.due, default=None)

    def _of(
        self, record: SessionRecord, now: datetime, last_frame: datetime | None
    ) -> Iterator[Watch]:
        if record.due_at is not None:
            yield Watch(record.due_at, Life.deadline)
        if record.connection is ConnectionState.READY and last_frame is not None:
            yield Watch(last_frame + SILENCE, _silent)
        if record.connection is ConnectionState.READY and not self._stable:
            yield Watch(record.since + STABLE, self._now_stable)
        if record.sending is SendingState.REPLY_ONLY and record.sending_until is not None:
            yield Watch(record.sending_until, _restriction_ended)
        linked = record.phone_state is not PhoneState.UNLINKED and record.connection in ACTIVE
        if linked and record.phone_seen_at is not None:
            yield from self._warning(record.phone_seen_at, now)

    def _warning(self, seen: datetime, now: datetime) -> Iterator[Watch]:
        """Yield the next warning; of several that are past, the gravest alone."""
        ahead = [days for days in PHONE_WARNING_DAYS if days > self._warned_days]
        past = [days for days in ahead if seen + timedelta(days=days) <= now]
        for days in past[-1:] or ahead[:1]:
            yield Watch(seen + timedelta(days=days), partial(self._warn, days))

    def _warn(self, days: int, life: Life, _: datetime) -> SessionRecord:
        self._warned_days = days
        return life.missed(days)

    def _now_stable(self, life: Life, _: datetime) -> SessionRecord | None:
        self._stable = True
        return life.stable()


def _silent(life: Life, now: datetime) -> SessionRecord:
    return life.hear(Heard(ConnectionEvent.KEEPALIVE_LOST, "line_silent"), now)


def _restriction_ended(life: Life, _: datetime) -> SessionRecord:
    return life.reopened("restriction_ended")


def _store_again(_life: Life, _now: datetime) -> None:
    return None
