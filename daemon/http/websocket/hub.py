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
    """The clients with the same filter. `_through` is the last seq that they know of."""

    def __init__(self, event_filter: EventFilter, seq: int) -> None:
        self.event_filter: Final = event_filter
        self.clients: set[ClientQueue] = set()
        self._through = seq

    def send_events(self, batch: Sequence[EventFrame]) -> None:
        """Queue the matching events of a batch for every client; never waits."""
        matching = [
            event for event in batch if self.event_filter.matches(event.topic, event.session)
        ]
        if not matching:
            return
        data = b"".join(event.frame for event in matching)
        self._enqueue(data, len(matching))
        self._through = max([self._through, *(event.seq for event in matching if event.seq)])

    def send_through(self, seq: int) -> None:
        """Tell every client that no event up to `seq` is missing, unless it knows that already."""
        if seq > self._through:
            self._through = seq
            self._enqueue(build_through_frame(seq), 1)

    def _enqueue(self, data: bytes, frames: int) -> None:
        for client in self.clients:
            client.enqueue(data, frames)


log = structlog.get_logger("stream")


class EventHub:
    """Sends live events to the clients that are up to date; calls `on_close` when its feed ends."""

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
        """Start to read the event feed."""
        await self._feed.start()
        self._tasks = [
            asyncio.create_task(self._run_feed(), name="stream"),
            asyncio.create_task(self._run_through(), name="stream-through"),
        ]

    async def close(self) -> None:
        """Stop reading the event feed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._feed.close()

    @property
    def is_alive(self) -> bool:
        """Whether the event feed is still being read."""
        return not self._tasks[0].done()

    @property
    def seq(self) -> int:
        """The seq of the last event that was sent to the clients."""
        return self._feed.seq

    async def wait_for_seq(self, seq: int) -> None:
        """Return once the event with this seq was sent; it must have been committed."""
        while self.seq < seq:
            await self._moved.wait()

    def join(self, client: ClientQueue, event_filter: EventFilter) -> None:
        """Add a client, which must have everything up to :attr:`seq`."""
        if event_filter not in self._groups:
            self._groups[event_filter] = FilterGroup(event_filter, self.seq)
        self._groups[event_filter].clients.add(client)

    def leave(self, client: ClientQueue) -> None:
        """Remove a client; one that never joined is fine."""
        for event_filter, group in tuple(self._groups.items()):
            group.clients.discard(client)
            if not group.clients:
                del self._groups[event_filter]

    async def _run_feed(self) -> None:
        """Send events until the daemon closes or the feed fails; then close every client."""
        ending = CLOSE_RESTARTING
        try:
            async for batch in self._feed.batches():
                self._broadcast(batch)
                await asyncio.sleep(0)  # let the clients' own tasks run in between
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
            # A copy: a client that leaves changes the groups.
            for group in tuple(self._groups.values()):
                group.send_events(encoded)
        # A new event for the next wait: those that wait now are woken, each checks the seq itself.
        self._moved.set()
        self._moved = asyncio.Event()

    async def _run_through(self) -> None:
        while True:
            await asyncio.sleep(self._limits.through)
            for group in tuple(self._groups.values()):
                group.send_through(self.seq)


class ClientRegistry:
    """The clients of one server, signed in or not, and their hub."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self._clients: set[ClientQueue] = set()
        self._unauthenticated: set[ClientQueue] = set()
        self._hub: EventHub | None = None
        self._opening = asyncio.Lock()

    @contextlib.contextmanager
    def signed_in_slot(self, client: ClientQueue) -> Iterator[None]:
        """Reserve a place for a client; raise :class:`Unavailable` where all are taken."""
        with _take_slot(self._clients, client, self.limits.clients):
            yield

    @contextlib.contextmanager
    def unauthenticated_slot(self, client: ClientQueue) -> Iterator[None]:
        """Reserve a place for a client that has not signed in; raise :class:`Unavailable`."""
        with _take_slot(self._unauthenticated, client, self.limits.unauthenticated):
            yield

    @property
    def connected(self) -> int:
        """How many clients are connected, signed in or not."""
        return len(self._clients) + len(self._unauthenticated)

    async def open_hub(self, services: Services) -> EventHub:
        """Return the open hub; a new one where the old one's feed has ended."""
        async with self._opening:
            if self._hub is None or not self._hub.is_alive:
                await self._close_hub()
                hub = EventHub(services, self.limits, self.close_all)
                await hub.open()
                self._hub = hub
            return self._hub

    def close_all(self, ending: CloseReason) -> None:
        """End every connection."""
        for client in (*self._clients, *self._unauthenticated):
            client.close_with(ending)

    async def close(self) -> None:
        """Close the hub and end every connection; the server waits until all have left."""
        self.close_all(CLOSE_RESTARTING)
        await self._close_hub()

    async def _close_hub(self) -> None:
        if self._hub is not None:
            await self._hub.close()
            self._hub = None


@contextlib.contextmanager
def _take_slot(clients: set[ClientQueue], client: ClientQueue, most: int) -> Iterator[None]:
    if len(clients) >= most:
        raise Unavailable(
            f"{most} clients are connected, and there is no room for more.",
            hint="Close those that nobody looks at, or try again later.",
        )
    clients.add(client)
    try:
        yield
    finally:
        clients.discard(client)
