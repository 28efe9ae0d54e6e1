"""The fan-out: hears the house once, encodes each event once, and offers it to every group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from daemon.bus import PublishedEvent, SubscriberLagged
from daemon.http.house import HttpServices
from daemon.http.ws.endings import CLOSE_INTERNAL_ERROR, CLOSE_RESTARTING, CloseReason
from daemon.http.ws.frames import build_event_frame
from daemon.http.ws.group import FilterGroup
from daemon.http.ws.interest import EventFilter
from daemon.http.ws.limits import StreamLimits
from daemon.http.ws.listener import ClientQueue
from daemon.http.ws.news import EventFeed
from storage.errors import StorageError

log = structlog.get_logger("stream")


class EventHub:
    """The listeners that are up to date. `on_end` is told when they can't be told any more."""

    def __init__(
        self, house: HttpServices, limits: StreamLimits, on_close: Callable[[CloseReason], None]
    ) -> None:
        self._house = house
        self._limits = limits
        self._on_end = on_close
        self._news = EventFeed(house.database, house.bus, limits.bus)
        self._groups: dict[EventFilter, FilterGroup] = {}
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Hear the house from now on."""
        await self._news.start()
        self._tasks = [
            asyncio.create_task(self._run_feed(), name="stream"),
            asyncio.create_task(self._run_through(), name="stream-through"),
        ]

    async def close(self) -> None:
        """Hear nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._news.close()

    @property
    def is_alive(self) -> bool:
        """Whether the house is still heard."""
        return not self._tasks[0].done()

    @property
    def seq(self) -> int:
        """The last stored event that was told here."""
        return self._news.seq

    async def wait_for_seq(self, seq: int) -> None:
        """Return once the event with this seq was told; it must have been committed."""
        while self.seq < seq:
            await self._moved.wait()

    def join(self, listener: ClientQueue, interest: EventFilter) -> None:
        """Tell a listener that has everything up to :attr:`seq` whatever comes after."""
        if interest not in self._groups:
            self._groups[interest] = FilterGroup(interest, self.seq)
        self._groups[interest].clients.add(listener)

    def leave(self, listener: ClientQueue) -> None:
        """Tell a listener nothing more; fine where it was told nothing."""
        for interest, group in tuple(self._groups.items()):
            group.clients.discard(listener)
            if not group.clients:
                del self._groups[interest]

    async def _run_feed(self) -> None:
        """Tell the news until the house closes; then everybody must connect again."""
        ending = CLOSE_RESTARTING
        try:
            async for batch in self._news.batches():
                self._broadcast(batch)
                await asyncio.sleep(0)  # the listeners' own tasks come in between
        except (SubscriberLagged, StorageError) as error:
            log.warning("stream_interrupted", error=type(error).__name__)
        except Exception:
            log.exception("stream_failed")
            ending = CLOSE_INTERNAL_ERROR
        self._on_end(ending)

    def _broadcast(self, batch: Sequence[PublishedEvent]) -> None:
        if self._groups:
            epoch, now = self._house.database.epoch, self._house.clock.now()
            encoded = [build_event_frame(each.event, each.seq, epoch, now) for each in batch]
            for group in tuple(self._groups.values()):
                group.send_events(encoded)
        self._moved.set()
        self._moved = asyncio.Event()

    async def _run_through(self) -> None:
        while True:
            await asyncio.sleep(self._limits.through)
            for group in tuple(self._groups.values()):
                group.send_through(self.seq)
