"""Events reach the plugins that observe them, and what becomes of plugins that fail at one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog.testing

from daemon.api import hookimpl
from daemon.bus import EventBus
from daemon.event_dispatcher import EventDispatcher
from daemon.events import ContactReopened, DomainEvent, PluginFailed, decode_event
from daemon.plugin_manager import PluginFailureQueue, Plugins
from storage import event_log
from storage.db import Database
from storage.events import CommittedEvent
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.plugins import BUILT_IN
from tests.helpers.services.database import open_database

FLOOD = 5_000
"""More events in one turn of the loop than wait for observers."""


@dataclass
class RecordingObserver:
    """A plugin that remembers whom it was told of, and fails at one of them."""

    fails_at: str = ""
    seen: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @hookimpl
    async def leadmaster_observe_event(self, event: DomainEvent) -> None:
        """Remember the event."""
        async with self.changed:
            self.seen.append(event.subject)
            self.changed.notify_all()
        if event.subject == self.fails_at:
            raise RuntimeError

    async def wait_for_subject(self, subject: str) -> None:
        """Return once an event of this subject was seen."""
        async with self.changed:
            await self.changed.wait_for(lambda: subject in self.seen)


@dataclass
class ObservedDatabase:
    """A database whose commits one plugin observes."""

    bus: EventBus
    clock: FakeClock
    database: Database
    watcher: RecordingObserver

    async def commit_events(self, *subjects: str) -> None:
        """Commit an event of each subject, in one transaction."""
        await self.database.write(
            lambda tx: [tx.emit(build_contact_reopened(each)) for each in subjects]
        )

    async def list_failures(self) -> list[CommittedEvent]:
        """Return the failures of plugins that are in the log, by now."""
        await self.clock.settle()  # what is to be written waits its turn by now …
        await self.database.write(lambda _tx: None)  # … and this comes after it
        log = await self.database.read(lambda reader: event_log.list_events_after(reader, 0, 100))
        return [event for event in log if event.type == PluginFailed.event_type]


def build_contact_reopened(subject: str) -> ContactReopened:
    """Return an event."""
    return ContactReopened(subject=subject, at=MIDDAY, source="contact", reason="ALTA")


@contextlib.asynccontextmanager
async def open_observed_database(
    folder: Path, watcher: RecordingObserver
) -> AsyncIterator[ObservedDatabase]:
    """Open a room that is observed."""
    bus, failures = EventBus(), PluginFailureQueue()
    plugins = Plugins(report_failure=failures.put)
    plugins.load(blocked=BUILT_IN, more={"watcher": watcher})

    def publish(events: Sequence[CommittedEvent]) -> None:
        for event in events:
            bus.publish(decode_event(event.type, event.subject, event.at, event.data), event.seq)

    clock = FakeClock()
    async with (
        open_database(folder, on_events=publish) as database,
        EventDispatcher(plugins, failures, bus, database, clock).running(),
    ):
        await clock.settle()  # they subscribe
        yield ObservedDatabase(bus, clock, database, watcher)
    assert bus.subscriber_count == 0


async def test_each_committed_event_is_shown_in_order(tmp_path: Path) -> None:
    """What was never stored is not: a pairing code is nobody's business."""
    async with open_observed_database(tmp_path, RecordingObserver()) as room:
        room.bus.publish(build_contact_reopened("never stored"))
        await room.commit_events("a", "b")
        await room.commit_events("c")
        await room.watcher.wait_for_subject("c")
        assert room.watcher.seen == ["a", "b", "c"]


async def test_a_failure_is_stored_once_and_goes_on(tmp_path: Path) -> None:
    """A plugin is not told of failures: one that fails at all it hears would never stop."""
    async with open_observed_database(tmp_path, RecordingObserver(fails_at="a")) as room:
        await room.commit_events("a", "b")
        await room.watcher.wait_for_subject("b")
        await room.commit_events("c")
        await room.watcher.wait_for_subject("c")
        [failure] = await room.list_failures()
        assert (failure.subject, failure.data["hook"]) == ("watcher", "leadmaster_observe_event")
        assert room.watcher.seen == ["a", "b", "c"]


async def test_whoever_is_too_slow_for_a_flood_loses_a_part_and_goes_on(tmp_path: Path) -> None:
    """Nothing waits for observers, and what is kept for them has an end."""
    async with open_observed_database(tmp_path, RecordingObserver()) as room:
        with structlog.testing.capture_logs() as logged:
            await room.commit_events(*map(str, range(FLOOD)))
            await room.watcher.wait_for_subject("4000")
            await room.clock.settle()  # they subscribe anew
            await room.commit_events("after the flood")
            await room.watcher.wait_for_subject("after the flood")
        assert str(FLOOD - 1) not in room.watcher.seen
        assert [line["event"] for line in logged] == ["observers_lagged"]


async def test_a_failure_that_cannot_be_stored_is_logged(tmp_path: Path) -> None:
    """The room goes on without the row."""
    watcher = RecordingObserver(fails_at="late")
    with structlog.testing.capture_logs() as logged:
        async with open_observed_database(tmp_path, watcher) as room:
            await room.database.close()
            room.bus.publish(build_contact_reopened("late"), 1)
            await watcher.wait_for_subject("late")
            await room.clock.settle()
    assert "plugin_failure_not_stored" in [line["event"] for line in logged]
