"""Dispatches committed events to the plugins that observe them, and records plugin failures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog

from daemon.api.clock import Clock
from daemon.background import run_in_background
from daemon.bus import EventBus, SubscriberLagged
from daemon.events import PluginFailed
from daemon.plugin_manager import PluginFailure, PluginFailureQueue, Plugins
from storage.db import Database
from storage.errors import StorageError

log = structlog.get_logger("plugins")

_MAX_QUEUED_EVENTS = 4096


class EventDispatcher:
    """Passes committed events to the plugins and stores their failures, with a task for each."""

    def __init__(
        self,
        plugins: Plugins,
        failures: PluginFailureQueue,
        bus: EventBus,
        database: Database,
        clock: Clock,
    ) -> None:
        self._plugins = plugins
        self._failures = failures
        self._bus = bus
        self._database = database
        self._clock = clock

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Dispatch events and store failures for the length of the block."""
        async with (
            run_in_background(self._dispatch_events(), "observers"),
            run_in_background(self._store_failures(), "plugin-failures"),
        ):
            yield

    async def _dispatch_events(self) -> None:
        """Pass each stored event to the plugins, in order; after a lag, go on with new events."""
        while True:
            subscription = self._bus.subscribe(_MAX_QUEUED_EVENTS)
            try:
                async for published in subscription:
                    # Without this exception, a plugin that always fails would never stop failing.
                    if published.seq is not None and not isinstance(published.event, PluginFailed):
                        await self._plugins.observe(published.event)
            except SubscriberLagged:
                log.warning("observers_lagged", events=_MAX_QUEUED_EVENTS)
            finally:
                subscription.close()

    async def _store_failures(self) -> None:
        while True:
            await self._store_failure(await self._failures.get())

    async def _store_failure(self, failure: PluginFailure) -> None:
        event = PluginFailed(
            subject=failure.plugin,
            at=self._clock.now(),
            hook=failure.hook,
            sentence=failure.sentence,
        )
        try:
            await self._database.write(lambda tx: tx.emit(event))
        except StorageError as error:
            log.warning("plugin_failure_not_stored", error_code=error.code)
