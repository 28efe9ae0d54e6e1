"""The wall clock is set back by an hour while sessions wait: each wait stays as long as it was."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    QrIssued,
    SendingRestricted,
    Synced,
    TransportDied,
)
from daemon.clock_steps import ClockStepWatcher
from statemachines.session import ConnectionState
from tests.helpers.clock import FakeClock
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SessionServices,
    build_stored_session,
    leave_stored_sessions,
    open_session_services,
)

HOUR = 3600.0
LOOK = 5.0
"""The watcher looks every five seconds: so much later may anything be."""


@contextlib.asynccontextmanager
async def open_watched_sessions(
    folder: Path, clock: FakeClock | None = None
) -> AsyncIterator[SessionServices]:
    """Open the sessions with a watcher beside them, as the daemon does."""
    async with open_session_services(folder, clock) as services:
        watcher = ClockStepWatcher(services.clock, services.database, services.sessions)
        await watcher.recover()
        async with watcher.running():
            yield services


async def keep_alive(services: SessionServices, seconds: float) -> None:
    """Let time pass on a line that shows every 20 seconds that it lives."""
    while seconds > 0:
        await services.clock.advance(min(20.0, seconds))
        await services.report_signals(KeepAlive())
        seconds -= 20


async def keep_alive_unsteadily(services: SessionServices, seconds: float) -> None:
    """Let time pass on a line that is never ready for a whole minute, and never lost."""
    while seconds > 0:
        await services.report_signals(Connected(), Synced())
        await keep_alive(services, 40)
        await services.report_signals(Disconnected())
        wait = count_wait(services)
        await services.clock.advance(wait)
        seconds -= 40 + wait


def count_wait(services: SessionServices) -> float:
    """Return how many seconds there are until the session's deadline, by the wall."""
    deadline = services.view.deadline
    assert deadline is not None
    return (deadline - services.clock.now()).total_seconds()


async def test_a_reconnect_comes_when_it_was_meant_to(tmp_path: Path) -> None:
    """A session that lost its line dials again in seconds, and shows that moment."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(Disconnected())
        wait = count_wait(services)
        services.clock.set_back(HOUR)
        await services.clock.advance(wait + LOOK)
        assert len(services.opened) == 2
        assert services.view.state == "connecting"


async def test_the_stored_deadline_moves_too(tmp_path: Path) -> None:
    """A restart in between finds the wait as long as it was."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        for _ in range(5):
            await services.report_signals(Disconnected())
            await services.clock.advance(count_wait(services))
        await services.report_signals(Disconnected())
        wait = count_wait(services)
        assert wait > LOOK
        services.clock.set_back(HOUR)
        await services.clock.advance(LOOK)
        row = await services.get_row()
        assert row.due_at is not None
        assert (row.due_at - services.clock.now()).total_seconds() == pytest.approx(wait - LOOK)


async def test_silence_is_noticed_when_it_should(tmp_path: Path) -> None:
    """45 seconds without a frame are 45 seconds."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        await services.clock.advance(30)
        services.clock.set_back(HOUR)
        await services.clock.advance(14)
        assert services.view.state == "ready"
        await services.clock.advance(1 + LOOK)
        assert (services.view.state, services.view.reason_code) == ("degraded", "line_silent")


async def test_a_frame_after_the_step_counts_from_its_own_moment(tmp_path: Path) -> None:
    """A line that lives is not taken for a silent one."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        services.clock.set_back(HOUR)
        await services.report_signals(KeepAlive())
        await services.clock.advance(44)
        assert services.view.state == "ready"
        await services.clock.advance(1)
        assert services.view.state == "degraded"


async def test_a_minute_of_ready_is_a_minute(tmp_path: Path) -> None:
    """The next reconnect is quick again after it."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(Disconnected())
        await services.clock.advance(count_wait(services))
        await services.report_signals(Connected(), Synced())
        assert (await services.get_row()).attempts == 1
        services.clock.set_back(HOUR)
        await keep_alive(services, 60 + 20)
        assert (await services.get_row()).attempts == 0


async def test_a_code_ends_when_it_was_meant_to(tmp_path: Path) -> None:
    """Nobody scans what the platform has forgotten."""
    async with open_watched_sessions(tmp_path) as services:
        await services.start_session()
        await services.report_signals(QrIssued("secret", 1, 6, 60))
        services.clock.set_back(HOUR)
        await services.clock.advance(LOOK)
        shown = services.sessions.qr(SESSION_NAME)
        assert shown is not None
        assert shown.expires_at - services.clock.now() == timedelta(seconds=60 - LOOK)
        await services.clock.advance(60 - LOOK)
        assert services.sessions.qr(SESSION_NAME) is None


async def test_a_record_that_could_not_be_stored_is_stored_as_soon_as_it_can(
    tmp_path: Path,
) -> None:
    """Within seconds, and until then nothing is sent."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        services.database.refuses = True
        await services.report_signals(SendingRestricted("restricted"))
        services.clock.set_back(HOUR)
        services.database.refuses = False
        await services.clock.advance(2 * LOOK)
        assert (await services.get_row()).sending == "reply_only"


async def test_a_ban_ends_at_the_moment_that_the_platform_named(tmp_path: Path) -> None:
    """It is never drawn nearer, whatever is done to our clock."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        until = services.clock.now() + timedelta(hours=2)
        await services.report_signals(ConnectionRefused.from_code(402, until=until))
        services.clock.set_back(HOUR)
        await services.clock.advance(LOOK)
        assert services.view.deadline == until


async def test_crashes_of_before_the_step_are_no_crashes_of_now(tmp_path: Path) -> None:
    """Five within ten minutes are too many; the first four of them are eleven minutes old."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        for _ in range(4):
            await services.report_signals(TransportDied("gone"))
            await services.clock.advance(count_wait(services))
        services.clock.set_back(HOUR)
        await keep_alive_unsteadily(services, 11 * 60)
        await services.report_signals(TransportDied("gone"))
        assert services.view.state == "backoff"


async def test_what_is_due_is_done_at_once_after_a_suspend(tmp_path: Path) -> None:
    """The wall went on, and the seconds of a sleeping machine did not count."""
    async with open_watched_sessions(tmp_path) as services:
        await services.pair_session()
        until = services.clock.now() + timedelta(hours=2)
        await services.report_signals(SendingRestricted("restricted", until))
        services.clock.set_back(-2 * HOUR)
        await services.clock.advance(LOOK)
        assert services.view.sending == "all"


async def test_a_clock_set_back_while_the_daemon_was_down_is_followed(tmp_path: Path) -> None:
    """What was to be dialled in seconds is dialled in seconds."""
    clock = FakeClock()
    at = clock.now()
    stored = build_stored_session(
        ConnectionState.BACKOFF, desired="on", since=at, due_at=at + timedelta(seconds=8)
    )
    await leave_stored_sessions(tmp_path, stored)
    async with open_session_services(tmp_path, clock) as services:
        await services.sessions.create("other", "puppet", "America/Bogota")  # its event has a time
    clock.set_back(HOUR)
    async with open_watched_sessions(tmp_path, clock) as services:
        await services.sessions.restore()
        found = services.view
        assert found.deadline is not None
        assert found.deadline - clock.now() <= timedelta(seconds=8)
