"""Committed events in order and without a gap: from the bus, and from the log where it lagged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from functools import partial
from typing import Final

from msgspec import Struct

from daemon.bus import EventBus, PublishedEvent, SubscriberLagged
from daemon.events import decode_event
from storage import event_log
from storage.db import Database
from storage.events import CommittedEvent
from storage.tx import Reader

REPLAY_PAGE_SIZE: Final = 200


class ReplayGap(StrEnum):
    """Why a client can't resume from its position."""

    EPOCH_CHANGED = "epoch_changed"
    LOG_TRIMMED = "log_trimmed"
    SEQ_UNKNOWN = "seq_unknown"


GAP_SENTENCES: Final = {
    ReplayGap.EPOCH_CHANGED: (
        "The log was begun anew from a copy; numbers of the old one mean nothing."
    ),
    ReplayGap.LOG_TRIMMED: "The log no longer reaches back to where you were.",
    ReplayGap.SEQ_UNKNOWN: "The log has not come as far as you say.",
}


class ReplayPage(Struct, frozen=True):
    """The next events after a position, or why there are none to resume with."""

    events: list[CommittedEvent]
    gap: ReplayGap | None


def read_replay_page(reader: Reader, after: int) -> ReplayPage:
    """Return the events that follow `after`, or the gap where the first of them is missing."""
    high = event_log.get_high_water(reader)
    if after > high:
        return ReplayPage([], ReplayGap.SEQ_UNKNOWN)
    events = event_log.list_events_after(reader, after, REPLAY_PAGE_SIZE)
    reached = events[0].seq - 1 if events else high
    return ReplayPage(events, None) if reached == after else ReplayPage([], ReplayGap.LOG_TRIMMED)


_BATCH_SIZE: Final = 64


class EventFeed:
    """Reads the bus and fills its gaps from the log. `seq` is the last event that was read."""

    def __init__(self, database: Database, bus: EventBus, limit: int) -> None:
        self.seq = 0
        self._database = database
        self._bus = bus
        self._limit = limit
        self._subscription = bus.subscribe(limit)

    async def start(self) -> None:
        """Begin after the newest stored event."""
        self.seq = await self._database.high_water()

    def close(self) -> None:
        """Unsubscribe; an iteration under way ends."""
        self._subscription.close()

    async def batches(self) -> AsyncIterator[list[PublishedEvent]]:
        """Yield events in batches of at most 64, until :meth:`close`.

        Raises :class:`SubscriberLagged` where the log no longer holds what the bus lost.
        """
        while True:
            batch: list[PublishedEvent] = []
            try:
                async for published in self._subscription:
                    batch.append(published)
                    if len(batch) == _BATCH_SIZE or not self._subscription.queued_count:
                        yield self._select_unseen(batch)
                        batch = []
            except SubscriberLagged:
                # Subscribed again before the log is read: events that are in both are dropped by
                # their seq.
                self._subscription = self._bus.subscribe(self._limit)
                yield self._select_unseen(batch)
            else:
                return
            async for lost in self._replay_lost():
                yield lost

    async def _replay_lost(self) -> AsyncIterator[list[PublishedEvent]]:
        """Yield from the log the events after `seq`."""
        while True:
            page = await self._database.read(partial(read_replay_page, after=self.seq))
            if page.gap is not None:
                raise SubscriberLagged
            if not page.events:
                return
            yield self._select_unseen([_published_from_log(event) for event in page.events])

    def _select_unseen(self, batch: list[PublishedEvent]) -> list[PublishedEvent]:
        """Return the events after `seq`, and advance it."""
        new = [each for each in batch if each.seq is None or each.seq > self.seq]
        self.seq = max([self.seq, *(each.seq for each in new if each.seq is not None)])
        return new


def _published_from_log(event: CommittedEvent) -> PublishedEvent:
    return PublishedEvent(decode_event(event.type, event.subject, event.at, event.data), event.seq)
