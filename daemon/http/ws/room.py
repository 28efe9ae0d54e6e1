"""Everybody who is connected to one door: how many there may be, and the end of all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from daemon.errors import Unavailable
from daemon.http.house import House
from daemon.http.ws.endings import RESTARTING, Ending
from daemon.http.ws.hub import Hub
from daemon.http.ws.limits import Limits
from daemon.http.ws.listener import Listener


class Room:
    """The listeners of one door, signed in or not, and the hub that they hear."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._listeners: set[Listener] = set()
        self._strangers: set[Listener] = set()
        self._hub: Hub | None = None
        self._opening = asyncio.Lock()

    @contextlib.contextmanager
    def seat(self, listener: Listener) -> Iterator[None]:
        """Keep a place for a listener; raise :class:`Unavailable` where all are taken."""
        with _place(self._listeners, listener, self.limits.clients):
            yield

    @contextlib.contextmanager
    def doorstep(self, listener: Listener) -> Iterator[None]:
        """Keep a place for one who has not signed in: strangers can't take everybody's."""
        with _place(self._strangers, listener, self.limits.strangers):
            yield

    @property
    def connected(self) -> int:
        """How many are connected, signed in or not."""
        return len(self._listeners) + len(self._strangers)

    async def hub(self, house: House) -> Hub:
        """Return the hub, opened; a new one where the old one hears nothing any more."""
        async with self._opening:
            if self._hub is None or not self._hub.alive:
                await self._close_hub()
                hub = Hub(house, self.limits, self.end_all)
                await hub.open()
                self._hub = hub
            return self._hub

    def end_all(self, ending: Ending) -> None:
        """Let every connection end."""
        for listener in (*self._listeners, *self._strangers):
            listener.end(ending)

    async def close(self) -> None:
        """End everything; the door waits until all have gone."""
        self.end_all(RESTARTING)
        await self._close_hub()

    async def _close_hub(self) -> None:
        if self._hub is not None:
            await self._hub.close()
            self._hub = None


@contextlib.contextmanager
def _place(crowd: set[Listener], listener: Listener, most: int) -> Iterator[None]:
    if len(crowd) >= most:
        raise Unavailable(
            f"{most} clients are connected, and there is no room for more.",
            hint="Close those that nobody looks at, or try again later.",
        )
    crowd.add(listener)
    try:
        yield
    finally:
        crowd.discard(listener)
