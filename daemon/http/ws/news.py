"""The bus, heard in batches: everything once and in order, also what the bus had no room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from daemon.bus import EventBus, PublishedEvent, SubscriberLagged
from daemon.events import decode_event
from daemon.http.ws import replay
from storage.db import Database
from storage.events import CommittedEvent

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

        Raises :class:`Lagged` where the log does not hold any more what the bus lost.
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
            page = await self._database.read(partial(replay.read_replay_page, after=self.seq))
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
