"""Everybody who is connected to one door: how many there may be, and the end of all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from daemon.errors import Unavailable
from daemon.http.house import HttpServices
from daemon.http.ws.endings import CLOSE_RESTARTING, CloseReason
from daemon.http.ws.hub import EventHub
from daemon.http.ws.limits import StreamLimits
from daemon.http.ws.listener import ClientQueue


class ClientRegistry:
    """The listeners of one door, signed in or not, and the hub that they hear."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self._listeners: set[ClientQueue] = set()
        self._strangers: set[ClientQueue] = set()
        self._hub: EventHub | None = None
        self._opening = asyncio.Lock()

    @contextlib.contextmanager
    def signed_in_slot(self, listener: ClientQueue) -> Iterator[None]:
        """Keep a place for a listener; raise :class:`Unavailable` where all are taken."""
        with _take_slot(self._listeners, listener, self.limits.clients):
            yield

    @contextlib.contextmanager
    def unauthenticated_slot(self, listener: ClientQueue) -> Iterator[None]:
        """Keep a place for one who has not signed in: strangers can't take everybody's."""
        with _take_slot(self._strangers, listener, self.limits.unauthenticated):
            yield

    @property
    def connected(self) -> int:
        """How many are connected, signed in or not."""
        return len(self._listeners) + len(self._strangers)

    async def open_hub(self, house: HttpServices) -> EventHub:
        """Return the hub, opened; a new one where the old one hears nothing any more."""
        async with self._opening:
            if self._hub is None or not self._hub.is_alive:
                await self._close_hub()
                hub = EventHub(house, self.limits, self.close_all)
                await hub.open()
                self._hub = hub
            return self._hub

    def close_all(self, ending: CloseReason) -> None:
        """Let every connection end."""
        for listener in (*self._listeners, *self._strangers):
            listener.close_with(ending)

    async def close(self) -> None:
        """End everything; the door waits until all have gone."""
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
