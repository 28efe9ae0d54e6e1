"""Sends each event, encoded once, to all clients with the same filter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import structlog

from daemon.bus import PublishedEvent, SubscriberLagged
from daemon.errors import Unavailable
from daemon.http.websocket.client import ClientQueue, StreamLimits
from daemon.http.websocket.event_feed import EventFeed
from daemon.http.websocket.frames import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_RESTARTING,
    CloseReason,
    EventFrame,
    build_event_frame,
    build_through_frame,
)
from daemon.http.websocket.subscription import EventFilter
from daemon.services import Services
from storage.errors import StorageError


class FilterGroup:
    """Everybody with one interest. `through` is the last seq that they know to have passed."""

    def __init__(self, interest: EventFilter, seq: int) -> None:
        self.event_filter: Final = interest
        self.clients: set[ClientQueue] = set()
        self._through = seq

    def send_events(self, batch: Sequence[EventFrame]) -> None:
        """Offer what is wanted of a batch to everybody; nobody is waited for."""
        matching = [
            event for event in batch if self.event_filter.matches(event.topic, event.session)
        ]
        if not matching:
            return
        data = b"".join(event.frame for event in matching)
        self._enqueue(data, len(matching))
        self._through = max([self._through, *(event.seq for event in matching if event.seq)])

    def send_through(self, seq: int) -> None:
        """Let everybody know that nothing of theirs is missing up to `seq`, if that is news."""
        if seq > self._through:
            self._through = seq
            self._enqueue(build_through_frame(seq), 1)

    def _enqueue(self, data: bytes, frames: int) -> None:
        for listener in self.clients:
            listener.enqueue(data, frames)


log = structlog.get_logger("stream")


class EventHub:
    """The listeners that are up to date. `on_close` is called when they can't be told any more."""

    def __init__(
        self, services: Services, limits: StreamLimits, on_close: Callable[[CloseReason], None]
    ) -> None:
        self._services = services
        self._limits = limits
        self._on_end = on_close
        self._feed = EventFeed(services.database, services.bus, limits.bus)
        self._groups: dict[EventFilter, FilterGroup] = {}
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Hear the event feed from now on."""
        await self._feed.start()
        self._tasks = [
            asyncio.create_task(self._run_feed(), name="stream"),
            asyncio.create_task(self._run_through(), name="stream-through"),
        ]

    async def close(self) -> None:
        """Hear nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._feed.close()

    @property
    def is_alive(self) -> bool:
        """Whether the event feed is still heard."""
        return not self._tasks[0].done()

    @property
    def seq(self) -> int:
        """The last stored event that was told here."""
        return self._feed.seq

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
        """Send the events until the daemon closes; then everybody must connect again."""
        ending = CLOSE_RESTARTING
        try:
            async for batch in self._feed.batches():
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
            epoch, now = self._services.database.epoch, self._services.clock.now()
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


class ClientRegistry:
    """The clients of one server, signed in or not, and the hub that they hear."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self._listeners: set[ClientQueue] = set()
        self._unauthenticated: set[ClientQueue] = set()
        self._hub: EventHub | None = None
        self._opening = asyncio.Lock()

    @contextlib.contextmanager
    def signed_in_slot(self, listener: ClientQueue) -> Iterator[None]:
        """Keep a place for a listener; raise :class:`Unavailable` where all are taken."""
        with _take_slot(self._listeners, listener, self.limits.clients):
            yield

    @contextlib.contextmanager
    def unauthenticated_slot(self, listener: ClientQueue) -> Iterator[None]:
        """Keep a place for one who has not signed in: others can't take everybody's."""
        with _take_slot(self._unauthenticated, listener, self.limits.unauthenticated):
            yield

    @property
    def connected(self) -> int:
        """How many are connected, signed in or not."""
        return len(self._listeners) + len(self._unauthenticated)

    async def open_hub(self, services: Services) -> EventHub:
        """Return the hub, opened; a new one where the old one hears nothing any more."""
        async with self._opening:
            if self._hub is None or not self._hub.is_alive:
                await self._close_hub()
                hub = EventHub(services, self.limits, self.close_all)
                await hub.open()
                self._hub = hub
            return self._hub

    def close_all(self, ending: CloseReason) -> None:
        """Let every connection end."""
        for listener in (*self._listeners, *self._unauthenticated):
            listener.close_with(ending)

    async def close(self) -> None:
        """End everything; the server waits until all have gone."""
        self.close_all(CLOSE_RESTARTING)
        await self._close_hub()

    async def _close_hub(self) -> None:
        if self._hub is not None:
            await self._hub.close()
            self._hub = None


@contextlib.contextmanager
def _take_slot(clients: set[ClientQueue], listener: ClientQueue, most: int) -> Iterator[None]:
    if len(clients) >= most:
        raise Unavailable(
            f"{most} clients are connected, and there is no room for more.",
            hint="Close those that nobody looks at, or try again later.",
        )
    clients.add(listener)
    try:
        yield
    finally:
        clients.discard(listener)
