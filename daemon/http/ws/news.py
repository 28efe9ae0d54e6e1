"""The bus, heard in batches: everything once and in order, also what the bus had no room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from daemon.bus import Bus, Lagged, Published
from daemon.events import revive
from daemon.http.ws import replay
from storage.db import Database
from storage.events import CommittedEvent

_BATCH: Final = 64


class News:
    """What happens from now on. `seq` is how far it was heard."""

    def __init__(self, database: Database, bus: Bus, limit: int) -> None:
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

    async def batches(self) -> AsyncIterator[list[Published]]:
        """Yield what was published together, at most 64 at once; end with :meth:`close`.

        Raises :class:`Lagged` where the log does not hold any more what the bus lost.
        """
        while True:
            batch: list[Published] = []
            try:
                async for published in self._subscription:
                    batch.append(published)
                    if len(batch) == _BATCH or not self._subscription.waiting:
                        yield self._new(batch)
                        batch = []
            except Lagged:
                self._subscription = self._bus.subscribe(self._limit)
                yield self._new(batch)
            else:
                return
            async for lost in self._lost():
                yield lost

    async def _lost(self) -> AsyncIterator[list[Published]]:
        """Yield from the log what was committed and not heard."""
        while True:
            page = await self._database.read(partial(replay.page, after=self.seq))
            if page.gap is not None:
                raise Lagged
            if not page.events:
                return
            yield self._new([_published(event) for event in page.events])

    def _new(self, batch: list[Published]) -> list[Published]:
        """Return what was not heard before, and note how far that comes."""
        new = [each for each in batch if each.seq is None or each.seq > self.seq]
        self.seq = max([self.seq, *(each.seq for each in new if each.seq is not None)])
        return new


def _published(event: CommittedEvent) -> Published:
    return Published(revive(event.type, event.subject, event.at, event.data), event.seq)
