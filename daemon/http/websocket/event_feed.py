"""Committed events in order and without a gap, from the bus or, where it lost some, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from daemon.bus import EventBus, PublishedEvent, SubscriberLagged
from daemon.events import decode_event
from storage import event_log
from storage.db import Database
from storage.events import CommittedEvent
from storage.tx import Reader

REPLAY_PAGE_SIZE: Final = 200


class ReplayGap(StrEnum):
    """Why a client can't go on from where it was."""

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


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """The next events after a place, or why there is no going on from it."""

    events: list[CommittedEvent]
    gap: ReplayGap | None


def read_replay_page(reader: Reader, after: int) -> ReplayPage:
    """Return the events that follow `after` without a hole."""
    high = event_log.get_high_water(reader)
    if after > high:
        return ReplayPage([], ReplayGap.SEQ_UNKNOWN)
    events = event_log.list_events_after(reader, after, REPLAY_PAGE_SIZE)
    reached = events[0].seq - 1 if events else high
    return ReplayPage(events, None) if reached == after else ReplayPage([], ReplayGap.LOG_TRIMMED)


_BATCH_SIZE: Final = 64


class EventFeed:
    """What happens from now on. `seq` is how far it was heard."""

    def __init__(self, database: Database, bus: EventBus, limit: int) -> None:
        self.seq = 0
        self._database = database
        self._bus = bus
        self._limit = limit
        self._subscription = bus.subscribe(limit)

    async def start(self) -> None:
        """Note where the log stands; what is in it already is not heard again."""
        self.seq = await self._database.high_water()

    def close(self) -> None:
        """Stop listening; an iteration under way ends."""
        self._subscription.close()

    async def batches(self) -> AsyncIterator[list[PublishedEvent]]:
        """Yield what was published together, at most 64 at once; end with :meth:`close`.

        Raises :class:`SubscriberLagged` where the log does not hold any more what the bus lost.
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
                self._subscription = self._bus.subscribe(self._limit)
                yield self._select_unseen(batch)
            else:
                return
            async for lost in self._replay_lost():
                yield lost

    async def _replay_lost(self) -> AsyncIterator[list[PublishedEvent]]:
        """Yield from the log what was committed and not heard."""
        while True:
            page = await self._database.read(partial(read_replay_page, after=self.seq))
            if page.gap is not None:
                raise SubscriberLagged
            if not page.events:
                return
            yield self._select_unseen([_published_from_log(event) for event in page.events])

    def _select_unseen(self, batch: list[PublishedEvent]) -> list[PublishedEvent]:
        """Return what was not heard before, and note how far that comes."""
        new = [each for each in batch if each.seq is None or each.seq > self.seq]
        self.seq = max([self.seq, *(each.seq for each in new if each.seq is not None)])
        return new


def _published_from_log(event: CommittedEvent) -> PublishedEvent:
    return PublishedEvent(decode_event(event.type, event.subject, event.at, event.data), event.seq)
