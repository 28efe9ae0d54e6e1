"""What plugins hear of the log, and what becomes of those that fail at it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog.testing

from daemon.api import hookimpl
from daemon.bus import Bus
from daemon.events import ContactReopened, Event, PluginFailed, revive
from daemon.observers import Observers
from daemon.plugin_manager import Plugins
from storage import event_log, guards
from storage.db import Database
from storage.events import CommittedEvent
from storage.migrations import migrations
from tests.helpers.clock import MIDDAY, FakeClock

BUILT_IN = ("listener", "sender", "sync", "transport_manual", "transport_simulated")
FLOOD = 5_000
"""More events in one turn of the loop than wait for observers."""


@dataclass
class Watcher:
    """A plugin that remembers whom it was told of, and fails at one of them."""

    fails_at: str = ""
    seen: list[str] = field(default_factory=list)
    saw_one: asyncio.Condition = field(default_factory=asyncio.Condition)

    @hookimpl
    async def leadmaster_observe_event(self, event: Event) -> None:
        """Remember the event."""
        async with self.saw_one:
            self.seen.append(event.subject)
            self.saw_one.notify_all()
        if event.subject == self.fails_at:
            raise RuntimeError

    async def saw(self, subject: str) -> None:
        """Return once an event of this subject was seen."""
        async with self.saw_one:
            await self.saw_one.wait_for(lambda: subject in self.seen)


@dataclass
class Room:
    """A database whose commits one plugin observes."""

    bus: Bus
    clock: FakeClock
    database: Database
    watcher: Watcher

    async def happen(self, *subjects: str) -> None:
        """Commit an event of each subject, in one transaction."""
        await self.database.write(lambda tx: [tx.emit(reopened(each)) for each in subjects])

    async def failures(self) -> list[CommittedEvent]:
        """Return the failures of plugins that are in the log, by now."""
        await self.clock.settle()  # what is to be written waits its turn by now …
        await self.database.write(lambda _tx: None)  # … and this comes after it
        log = await self.database.read(lambda reader: event_log.after(reader, 0, 100))
        return [event for event in log if event.type == PluginFailed.word]


def reopened(subject: str) -> ContactReopened:
    """Return an event."""
    return ContactReopened(subject=subject, at=MIDDAY, source="contact", reason="ALTA")


@contextlib.asynccontextmanager
async def observed(folder: Path, watcher: Watcher) -> AsyncIterator[Room]:
    """Open a room that is observed."""
    bus, plugins = Bus(), Plugins()
    plugins.load(blocked=BUILT_IN, more={"watcher": watcher})

    def publish(events: Sequence[CommittedEvent]) -> None:
        for event in events:
            bus.publish(revive(event.type, event.subject, event.at, event.data), event.seq)

    database = await Database.open(
        folder, migrations=migrations, on_events=publish, at_open=guards.install
    )
    clock = FakeClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)  # a second time it is harmless
        await stack.enter_async_context(Observers(plugins, bus, database, clock).running())
        await clock.settle()  # they subscribe
        yield Room(bus, clock, database, watcher)
    assert bus.subscribers == 0


async def test_each_committed_event_is_shown_in_order(tmp_path: Path) -> None:
    """What was never stored is not: a pairing code is nobody's business."""
    async with observed(tmp_path, Watcher()) as room:
        room.bus.publish(reopened("never stored"))
        await room.happen("a", "b")
        await room.happen("c")
        await room.watcher.saw("c")
        assert room.watcher.seen == ["a", "b", "c"]


async def test_a_failure_is_stored_once_and_goes_on(tmp_path: Path) -> None:
    """A plugin is not told of failures: one that fails at all it hears would never stop."""
    async with observed(tmp_path, Watcher(fails_at="a")) as room:
        await room.happen("a", "b")
        await room.watcher.saw("b")
        await room.happen("c")
        await room.watcher.saw("c")
        [failure] = await room.failures()
        assert (failure.subject, failure.data["hook"]) == ("watcher", "leadmaster_observe_event")
        assert room.watcher.seen == ["a", "b", "c"]


async def test_whoever_is_too_slow_for_a_flood_loses_a_part_and_goes_on(tmp_path: Path) -> None:
    """Nothing waits for observers, and what is kept for them has an end."""
    async with observed(tmp_path, Watcher()) as room:
        with structlog.testing.capture_logs() as logged:
            await room.happen(*map(str, range(FLOOD)))
            await room.watcher.saw("4000")
            await room.clock.settle()  # they subscribe anew
            await room.happen("after the flood")
            await room.watcher.saw("after the flood")
        assert str(FLOOD - 1) not in room.watcher.seen
        assert [line["event"] for line in logged] == ["observers_lagged"]


async def test_a_failure_that_cannot_be_stored_is_logged(tmp_path: Path) -> None:
    """The room goes on without the row."""
    watcher = Watcher(fails_at="late")
    with structlog.testing.capture_logs() as logged:
        async with observed(tmp_path, watcher) as room:
            await room.database.close()
            room.bus.publish(reopened("late"), 1)
            await watcher.saw("late")
            await room.clock.settle()
    assert "plugin_failure_not_stored" in [line["event"] for line in logged]
