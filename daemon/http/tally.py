"""Counts the events that pass by since the start, for the figures that no table keeps."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from daemon.bus import EventBus, SubscriberLagged
from daemon.events import DomainEvent, GateFaulted, PluginFailed


class EventCounts:
    """How many events of each type there were; faults and failures by what failed."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.gate_faults: Counter[str] = Counter()
        self.plugin_failures: Counter[str] = Counter()

    def count(self, event: DomainEvent) -> None:
        """Count one event."""
        self.events[event.type] += 1
        if isinstance(event, GateFaulted):
            self.gate_faults[event.reason_code] += 1
        elif isinstance(event, PluginFailed):
            self.plugin_failures[event.subject] += 1

    @contextlib.asynccontextmanager
    async def counting(self, bus: EventBus) -> AsyncIterator[None]:
        """Count beside the block."""
        task = asyncio.create_task(self._listen(bus), name="tally")
        try:
            yield
        finally:
            task.cancel()

    async def _listen(self, bus: EventBus) -> None:
        while True:  # after a flood some counts are missing, but counting goes on
            with contextlib.suppress(SubscriberLagged):
                async for published in bus.subscribe():
                    self.count(published.event)
