"""The wall clock is set back by an hour: nothing waits longer for it, nothing more may go.

What passes is told by the injected clock's monotonic seconds; only its wall time is set.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from daemon.api.clock import SystemClock
from daemon.bootstrap import open_services
from daemon.clock_steps import ClockStepWatcher
from daemon.settings import ClockSettings, PacingSettings
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from storage import prospects, spends
from storage.spends import SpendKind
from storage.tx import Reader, Tx
from tests.helpers.client.http import build_settings
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import (
    BETO,
    UNLIMITED_PACING,
    MessagingServices,
    build_phone,
    open_messaging_services,
)
from tests.helpers.services.messaging_scenarios import plain_logs

__all__ = ["plain_logs"]

S = MessageState
HOUR = 3600.0
LOOK = 5.0
"""The watcher looks every five seconds: so much later may anything be."""


def build_watcher(services: MessagingServices) -> ClockStepWatcher:
    """Return a watcher over these services, as the daemon builds it."""
    return services.clock_steps


@contextlib.asynccontextmanager
async def open_watched_services(
    folder: Path, pacing: PacingSettings = UNLIMITED_PACING, *, linked_days: float = 100
) -> AsyncIterator[MessagingServices]:
    """Open the messaging services with a session, and a watcher beside them."""
    async with open_messaging_services(folder, pacing=pacing) as services:
        await services.add_session(linked_days=linked_days)
        async with build_watcher(services).running():
            yield services


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """Open them with generous budgets and one prospect."""
    async with open_watched_services(tmp_path) as opened:
        await opened.add_prospect()
        yield opened


async def enqueue_for(services: MessagingServices, people: int, *, known: bool) -> list[str]:
    """Enqueue a message for each of so many prospects; ``known`` ones wrote to us before."""
    posted = []
    for number in map(build_phone, range(people)):
        contact = await services.add_prospect(number)
        if known:
            await services.add_inbound(contact)
        posted.append(await services.enqueue_and_settle(number, f"Hola {number}"))
    return posted


async def test_a_retry_comes_when_it_was_meant_to(services: MessagingServices) -> None:
    """Refused for now, it is tried again within 30 seconds: not in an hour, and not twice."""
    services.wire.results.append(ScriptedSendResult.RETRY)
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.DEFERRED
    services.clock.set_back(HOUR)
    await services.clock.advance(30 + LOOK)
    assert await services.get_state(message) is S.SENT
    await services.clock.leap(2 * HOUR)
    assert len(services.wire.sends) == 2


async def test_what_was_deferred_after_the_step_keeps_its_wait(services: MessagingServices) -> None:
    """Its time was told by the clock as it is now, though nobody has looked at that clock yet."""
    services.wire.results.extend([ScriptedSendResult.RETRY] * 2)
    services.clock.set_back(HOUR)
    message = await services.enqueue_and_settle()
    due = (await services.get_message(message)).due_at
    await services.clock.advance(LOOK)
    assert (await services.get_message(message)).due_at == due


async def test_not_before_is_a_moment_of_the_clock_as_it_is_set(
    services: MessagingServices,
) -> None:
    """At 16:00 by the wall: an hour of waiting is two, since 15:00 came twice."""
    message = await services.enqueue_and_settle(
        not_before=services.clock.now() + timedelta(seconds=HOUR)
    )
    services.clock.set_back(HOUR)
    await services.clock.advance(2 * HOUR - 1)
    assert await services.get_state(message) is S.CLEARED
    await services.clock.advance(1 + LOOK)
    assert await services.get_state(message) is S.SENT


async def test_a_window_opens_by_the_clock_as_it_is_set(tmp_path: Path) -> None:
    """Deferred until 9:30 in Buenos Aires, it is judged an hour too early, and deferred again."""
    evening = FakeClock(datetime(2026, 3, 3, 22, 0, tzinfo=UTC))
    async with open_messaging_services(tmp_path, clock=evening) as services:
        await services.add_session()
        await services.add_prospect()
        watcher = build_watcher(services)
        message = await services.enqueue_and_settle()
        opening = (await services.get_message(message)).due_at
        assert opening is not None
        evening.set_back(HOUR)
        await watcher.look()
        early = opening - timedelta(seconds=HOUR)
        assert (await services.get_message(message)).due_at == early
        await evening.leap((early - evening.now()).total_seconds() + 1)
        found = await services.get_message(message)
        assert (found.state, found.due_at) == (S.DEFERRED, opening)


async def test_the_budget_of_a_minute_is_neither_wider_nor_later(tmp_path: Path) -> None:
    """Two a minute: the third goes a minute after the first, whatever the wall says."""
    pacing = msgspec.structs.replace(UNLIMITED_PACING, messages_per_minute=2)
    async with open_watched_services(tmp_path, pacing) as services:
        posted = await enqueue_for(services, 3, known=True)
        services.clock.set_back(HOUR)
        await services.clock.advance(59)
        assert len(services.wire.sends) == 2
        await services.clock.advance(1 + LOOK)
        assert await services.get_state(posted[2]) is S.SENT


async def test_the_budget_of_a_day_is_neither_wider_nor_later(tmp_path: Path) -> None:
    """Three new chats a day: the fourth goes 24 hours after the first, not 23 and not 25."""
    pacing = msgspec.structs.replace(UNLIMITED_PACING, new_chats_first_week=3)
    async with open_watched_services(tmp_path, pacing, linked_days=1) as services:
        posted = await enqueue_for(services, 4, known=False)
        await services.clock.advance(1)
        services.clock.set_back(HOUR)
        await services.clock.advance(LOOK)
        await services.clock.leap(24 * HOUR - 60)
        assert (len(services.wire.sends), await services.get_state(posted[3])) == (3, S.CLEARED)
        await services.clock.leap(120)
        await services.clock.advance(LOOK)
        assert await services.get_state(posted[3]) is S.SENT


async def test_a_lease_ends_when_it_was_meant_to(services: MessagingServices) -> None:
    """A message that a person took and did not finish is free for others again."""
    message = await services.enqueue_and_settle(channel="manual")
    taken = await services.manual.take(message, "eva")
    assert taken.lease_until is not None
    lease = (taken.lease_until - services.clock.now()).total_seconds()
    services.clock.set_back(HOUR)
    await services.clock.advance(lease + 2 * LOOK)
    assert await services.get_state(message) is S.CLEARED


async def test_a_check_without_answer_lapses_when_it_was_meant_to(
    services: MessagingServices,
) -> None:
    """What is stamped by the clock that ran ahead is told by the one that is right."""
    contact = await services.add_prospect(BETO, validation=ValidationState.CHECKING)
    before = services.clock.now()
    services.clock.set_back(HOUR)
    await services.clock.advance(LOOK)
    found = await services.database.read(
        lambda reader: prospects.find_prospect_by_contact(reader, contact)
    )
    assert found is not None
    assert found.updated_at == before - timedelta(seconds=HOUR)


async def test_a_clock_set_back_while_the_daemon_was_down_is_followed(tmp_path: Path) -> None:
    """Nothing waits longer than it had still to wait when the daemon stopped."""
    clock = FakeClock()
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.add_session()
        await services.add_prospect()
        services.wire.results.append(ScriptedSendResult.RETRY)
        message = await services.enqueue_and_settle()
    clock.set_back(HOUR)
    async with open_messaging_services(tmp_path, clock=clock, started=False) as services:
        await build_watcher(services).recover()
        await services.outbox.start()
        async with services.wakeups.running():
            await services.sessions.restore()
            await services.clock.advance(30 + LOOK)
        assert await services.get_state(message) is S.SENT


async def test_a_start_by_a_clock_that_went_on_moves_nothing(services: MessagingServices) -> None:
    """The usual case."""
    services.wire.results.append(ScriptedSendResult.RETRY)
    message = await services.enqueue_and_settle()
    due = (await services.get_message(message)).due_at
    await services.clock.advance(2)
    await build_watcher(services).recover()
    assert (await services.get_message(message)).due_at == due


async def test_a_step_that_can_not_be_stored_is_followed_at_the_next_look(
    services: MessagingServices,
) -> None:
    """A full disk for a while: the deadlines move as soon as they can."""
    services.wire.results.append(ScriptedSendResult.RETRY)
    message = await services.enqueue_and_settle()
    services.clock.set_back(HOUR)
    services.database.refuses = True
    await services.clock.advance(LOOK)
    services.database.refuses = False
    assert await services.get_state(message) is S.DEFERRED
    await services.clock.advance(30 + LOOK)
    assert await services.get_state(message) is S.SENT


class JerkyClock(FakeClock):
    """A clock on a machine so busy that seconds pass between any two of its readings."""

    def monotonic(self) -> float:
        """Let seconds pass at each reading."""
        self._passed += 3_000_000
        return super().monotonic()


async def test_what_passes_between_two_readings_is_no_step(tmp_path: Path) -> None:
    """Otherwise a busy machine would move deadlines that are right."""
    async with open_messaging_services(tmp_path, clock=JerkyClock(), started=False) as services:
        watcher = build_watcher(services)
        with capture_logs() as lines:
            for _ in range(3):
                await watcher.look()
        assert lines == []


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([0.4, 0.4], []),
        ([0.4, 0.4, 0.4], ["clock_set_back"]),
        ([-2], ["clock_set_on"]),
        ([HOUR, -HOUR], ["clock_set_back", "clock_set_on"]),
    ],
)
async def test_small_steps_add_up_until_they_matter(
    services: MessagingServices, steps: list[float], told: list[str]
) -> None:
    """A second is noticed, in one step or in many."""
    with capture_logs() as lines:
        for step in steps:
            services.clock.set_back(step)
            await services.clock.advance(LOOK)
    assert [line["event"] for line in lines if line["event"].startswith("clock")] == told


class HastyClock(SystemClock):
    """The machine's clock, but for sleeps that are a hundred times as short."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for less than was asked for."""
        await super().sleep(seconds / 100)


async def test_the_whole_daemon_follows_the_machines_clock(short_folder: Path) -> None:
    """The real clock, of which the reading of the wall is handed in."""
    ahead = timedelta()

    def read_wall() -> datetime:
        return datetime.now(UTC) + ahead

    def spend(tx: Tx) -> None:
        spends.insert_spend(tx, "x", SpendKind.CHECK, session="x", message=None, at=read_wall())

    def count_recent(reader: Reader) -> int:
        return spends.count_spends(reader, "x", SpendKind.CHECK, read_wall())

    settings = msgspec.structs.replace(build_settings(short_folder), clock=ClockSettings())
    async with open_services(settings, clock=HastyClock(read_wall)) as services:
        await services.database.write(spend)
        ahead = timedelta(hours=-1)
        assert await services.database.read(count_recent) == 1
        async with asyncio.timeout(10):
            while await services.database.read(count_recent):  # noqa: ASYNC110 - a row, no event
                await asyncio.sleep(0.01)
