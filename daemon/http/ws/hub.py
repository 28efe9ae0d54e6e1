"""The fan-out: hears the house once, encodes each event once, and offers it to every group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from daemon.bus import Lagged, Published
from daemon.http.house import House
from daemon.http.ws.endings import FAILED, RESTARTING, Ending
from daemon.http.ws.frames import told
from daemon.http.ws.group import Group
from daemon.http.ws.interest import Interest
from daemon.http.ws.limits import Limits
from daemon.http.ws.listener import Listener
from daemon.http.ws.news import News
from storage.errors import StorageError

log = structlog.get_logger("stream")


class Hub:
    """The listeners that are up to date. `on_end` is told when they can't be told any more."""

    def __init__(self, house: House, limits: Limits, on_end: Callable[[Ending], None]) -> None:
        self._house = house
        self._limits = limits
        self._on_end = on_end
        self._news = News(house.database, house.bus, limits.bus)
        self._groups: dict[Interest, Group] = {}
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Hear the house from now on."""
        await self._news.start()
        self._tasks = [
            asyncio.create_task(self._follow(), name="stream"),
            asyncio.create_task(self._say_through(), name="stream-through"),
        ]

    async def close(self) -> None:
        """Hear nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._news.close()

    @property
    def alive(self) -> bool:
        """Whether the house is still heard."""
        return not self._tasks[0].done()

    @property
    def seq(self) -> int:
        """The last stored event that was told here."""
        return self._news.seq

    async def reached(self, seq: int) -> None:
        """Return once the event with this seq was told; it must have been committed."""
        while self.seq < seq:
            await self._moved.wait()

    def join(self, listener: Listener, interest: Interest) -> None:
        """Tell a listener that has everything up to :attr:`seq` whatever comes after."""
        if interest not in self._groups:
            self._groups[interest] = Group(interest, self.seq)
        self._groups[interest].listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Tell a listener nothing more; fine where it was told nothing."""
        for interest, group in tuple(self._groups.items()):
            group.listeners.discard(listener)
            if not group.listeners:
                del self._groups[interest]

    async def _follow(self) -> None:
        """Tell the news until the house closes; then everybody must connect again."""
        ending = RESTARTING
        try:
            async for batch in self._news.batches():
                self._tell(batch)
                await asyncio.sleep(0)  # the listeners' own tasks come in between
        except (Lagged, StorageError) as error:
            log.warning("stream_interrupted", error=type(error).__name__)
        except Exception:
            log.exception("stream_failed")
            ending = FAILED
        self._on_end(ending)

    def _tell(self, batch: Sequence[Published]) -> None:
        if self._groups:
            epoch, now = self._house.database.epoch, self._house.clock.now()
            encoded = [told(each.event, each.seq, epoch, now) for each in batch]
            for group in tuple(self._groups.values()):
                group.tell(encoded)
        self._moved.set()
        self._moved = asyncio.Event()

    async def _say_through(self) -> None:
        while True:
            await asyncio.sleep(self._limits.through)
            for group in tuple(self._groups.values()):
                group.say_through(self.seq)
