"""Publish and subscribe inside the process: one bounded queue per subscriber.

Nothing that must not be lost travels here: what is published was committed before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from daemon.events import Event


@dataclass(frozen=True, slots=True)
class Published:
    """An event with its place in the log; ``seq`` is None for what is never stored."""

    event: Event
    seq: int | None


class Lagged(Exception):
    """A subscriber did not read, and its queue ran full: it must start over from the log."""


class Subscription:
    """One subscriber's queue. Iterate it; leave with :meth:`close`."""

    def __init__(self, bus: Bus, limit: int) -> None:
        self._bus = bus
        self._queue: asyncio.Queue[Published | None] = asyncio.Queue(limit + 1)
        self._limit = limit
        self._lagged = False

    def offer(self, published: Published) -> None:
        """Queue one event without waiting; past the limit the subscription ends as lagged."""
        if self._lagged:
            return
        if self._queue.qsize() >= self._limit:
            self._lagged = True
            self._queue.put_nowait(None)
            self._bus.forget(self)
            return
        self._queue.put_nowait(published)

    async def __aiter__(self) -> AsyncIterator[Published]:
        """Yield events in order; raise :class:`Lagged` after what was queued before the loss."""
        while (published := await self._queue.get()) is not None:
            yield published
        if self._lagged:
            raise Lagged

    @property
    def waiting(self) -> int:
        """Return how many events are queued, the end of the iteration counted as one."""
        return self._queue.qsize()

    def close(self) -> None:
        """Stop receiving; an iteration under way ends after what is queued."""
        self._bus.forget(self)
        if not self._lagged and self._queue.qsize() <= self._limit:
            self._queue.put_nowait(None)


class Bus:
    """The daemon's only fan-out of news."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def subscribe(self, limit: int = 512) -> Subscription:
        """Return a subscription that receives everything published from now on."""
        subscription = Subscription(self, limit)
        self._subscriptions.add(subscription)
        return subscription

    def publish(self, event: Event, seq: int | None = None) -> None:
        """Hand ``event`` to every subscriber; never waits, never raises for a slow one."""
        published = Published(event, seq)
        for subscription in tuple(self._subscriptions):
            subscription.offer(published)

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription; unknown ones are fine."""
        self._subscriptions.discard(subscription)

    @property
    def subscribers(self) -> int:
        """Return how many subscriptions are open."""
        return len(self._subscriptions)
