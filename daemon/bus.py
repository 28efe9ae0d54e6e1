"""Publish and subscribe inside the process: one bounded queue per subscriber.

The bus may drop events for a slow subscriber: what must not be lost is in the database already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from daemon.events import DomainEvent


class PublishedEvent(Struct, frozen=True):
    """An event with its number in the event log; ``seq`` is None for one that is never stored."""

    event: DomainEvent
    seq: int | None


class SubscriberLagged(Exception):
    """A subscriber's queue ran full, and events were lost: read the event log from the database."""


class EventSubscription:
    """One subscriber's queue. Iterate it; leave with :meth:`close`."""

    def __init__(self, bus: EventBus, limit: int, kinds: tuple[type[DomainEvent], ...]) -> None:
        self._bus = bus
        self._kinds = kinds
        # One place more than events: the None that ends the iteration always fits.
        self._queue: asyncio.Queue[PublishedEvent | None] = asyncio.Queue(limit + 1)
        self._limit = limit
        self._lagged = False

    def offer(self, published: PublishedEvent) -> None:
        """Queue one event without waiting; past the limit the subscription ends as lagged."""
        if self._lagged or not isinstance(published.event, self._kinds):
            return
        if self._queue.qsize() >= self._limit:
            self._lagged = True
            self._queue.put_nowait(None)
            self._bus.unsubscribe(self)
            return
        self._queue.put_nowait(published)

    async def __aiter__(self) -> AsyncIterator[PublishedEvent]:
        """Yield events in order.

        Raise :class:`SubscriberLagged` after what was queued before the loss.
        """
        while (published := await self._queue.get()) is not None:
            yield published
        if self._lagged:
            raise SubscriberLagged

    @property
    def queued_count(self) -> int:
        """Return how many events are queued, the end of the iteration counted as one."""
        return self._queue.qsize()

    def close(self) -> None:
        """Stop receiving; an iteration under way ends after what is queued."""
        self._bus.unsubscribe(self)
        if not self._lagged and self._queue.qsize() <= self._limit:
            self._queue.put_nowait(None)


class EventBus:
    """Publishes each event to all subscribers; there is one bus in a daemon."""

    def __init__(self) -> None:
        self._subscriptions: set[EventSubscription] = set()

    def subscribe(
        self, limit: int = 512, *, kinds: tuple[type[DomainEvent], ...] = (DomainEvent,)
    ) -> EventSubscription:
        """Return a subscription that receives what is published from now on, of these kinds."""
        subscription = EventSubscription(self, limit, kinds)
        self._subscriptions.add(subscription)
        return subscription

    def publish(self, event: DomainEvent, seq: int | None = None) -> None:
        """Queue ``event`` for every subscriber; never waits, never raises for a slow one."""
        published = PublishedEvent(event, seq)
        # A copy, because a subscriber whose queue is full is dropped from the set while this runs.
        for subscription in tuple(self._subscriptions):
            subscription.offer(published)

    def unsubscribe(self, subscription: EventSubscription) -> None:
        """Drop a subscription; unknown ones are fine."""
        self._subscriptions.discard(subscription)

    @property
    def subscriber_count(self) -> int:
        """Return how many subscriptions are open."""
        return len(self._subscriptions)
