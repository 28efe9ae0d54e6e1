"""Ready is earned and kept: silence, cuts, crashes, and how a session comes back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from daemon.api.signals import (
    Connected,
    ConnectionRefused,
    Disconnected,
    KeepAlive,
    KeepAliveLost,
    KeepAliveRestored,
    Signal,
    StreamErrorUnknown,
    Synced,
    TransportDied,
)
from daemon.sessions import transitions
from tests.helpers.services.sessions import SESSION_NAME, SessionServices, open_session_services

MINUTE = 60.0


async def kept_alive(services: SessionServices, seconds: float) -> None:
    """Let time pass on a line that shows every 20 seconds that it lives."""
    while seconds > 0:
        step = min(20.0, seconds)
        await services.clock.advance(step)
        await services.report_signals(KeepAlive())
        seconds -= step


async def back(services: SessionServices) -> None:
    """Wait for the next attempt, and let it succeed."""
    deadline = services.view.deadline
    assert deadline is not None
    await services.clock.advance((deadline - services.clock.now()).total_seconds())
    await services.report_signals(Connected(), Synced())
    assert services.view.state == "ready"


async def test_45_silent_seconds_degrade_a_session_and_a_frame_mends_it(tmp_path: Path) -> None:
    """Nothing is sent meanwhile."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.clock.advance(44.9)
        assert services.view.state == "ready"
        await services.clock.advance(0.1)
        assert (services.view.state, services.view.reason_code) == ("degraded", "line_silent")
        assert not services.sessions.can_send(SESSION_NAME, new_chat=False)
        await services.report_signals(KeepAlive())
        assert services.view.state == "ready"
        told = [event.data["state"] for event in services.events]
        assert told[-3:] == ["ready", "degraded", "ready"]


async def test_frames_keep_a_session_ready(tmp_path: Path) -> None:
    """An hour of keep-alives is an hour of ready, and writes nothing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await kept_alive(services, 2 * MINUTE)
        commits = services.database.commits
        await kept_alive(services, 10 * MINUTE)
        assert services.view.state == "ready"
        assert services.database.commits == commits


async def test_a_lost_keep_alive_degrades_until_it_is_restored(tmp_path: Path) -> None:
    """The platform's own word for silence."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(KeepAliveLost())
        assert (services.view.state, services.view.reason_code) == ("degraded", "keepalive_lost")
        await services.report_signals(KeepAliveRestored())
        assert services.view.state == "ready"


async def test_three_degraded_minutes_lead_to_a_new_line(tmp_path: Path) -> None:
    """Silence is not waited out for ever."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(KeepAliveLost())
        await services.clock.advance(179.9)
        assert len(services.opened) == 1
        await services.clock.advance(0.1)
        assert len(services.opened) == 2
        assert services.opened[0].closed
        assert services.view.state == "connecting"


async def test_an_unknown_stream_error_leads_to_a_new_line_after_10_seconds(
    tmp_path: Path,
) -> None:
    """A keep-alive on a socket that is logged out proves nothing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(StreamErrorUnknown(), KeepAlive(), KeepAliveRestored())
        assert (services.view.state, services.view.reason_code) == ("degraded", "stream_error")
        await services.clock.advance(10)
        assert (services.view.state, len(services.opened)) == ("connecting", 2)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (Disconnected("reset"), "disconnected"),
        (ConnectionRefused.from_code(500), "server_trouble"),
        (ConnectionRefused.from_code(503), "server_trouble"),
        (ConnectionRefused.from_code(499), "server_trouble"),
        (TransportDied("abort"), "worker_died"),
    ],
)
async def test_a_lost_line_backs_off_and_comes_back(
    tmp_path: Path, signal: Signal, reason: str
) -> None:
    """The line is closed, the next attempt has a moment, and it needs no person."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(signal)
        view = services.view
        assert (view.state, view.reason_code, view.attempts) == ("backoff", reason, 1)
        assert view.deadline is not None
        assert 1 <= (view.deadline - services.clock.now()).total_seconds() <= 2
        assert services.puppet.closed
        assert services.view.user_action == "wait_until"
        await back(services)


async def test_a_stream_that_ends_or_breaks_is_a_dead_worker(tmp_path: Path) -> None:
    """Whatever a transport does wrong becomes a crash with a way back."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        services.puppet.end_stream()
        await services.clock.settle()
        assert services.view.reason_code == "worker_died"
        await back(services)
        await services.report_signals(RuntimeError("a field is not set"))
        assert services.view.reason_code == "worker_died"


async def test_five_crashes_in_ten_minutes_are_too_many(tmp_path: Path) -> None:
    """Then a person looks; a start by hand begins anew."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        for _ in range(4):
            await services.report_signals(TransportDied())
            await back(services)
        await services.report_signals(TransportDied())
        view = services.view
        assert (view.state, view.reason_code, view.deadline) == (
            "failed", "crashed_too_often", None
        )  # fmt: skip
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        await services.report_signals(TransportDied())
        assert services.view.state == "backoff"


async def test_crashes_that_are_far_apart_do_not_add_up(tmp_path: Path) -> None:
    """Five in an hour are a bad day, no defect."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        for _ in range(6):
            await services.report_signals(TransportDied())
            await back(services)
            await kept_alive(services, 4 * MINUTE)
        assert services.view.state == "ready"


async def test_a_line_that_can_not_be_opened_is_a_crash(tmp_path: Path) -> None:
    """A worker that does not start is tried again, five times."""
    async with open_session_services(tmp_path) as services:
        services.fail_to_open += [OSError("no such program")] * 5
        await services.start_session()
        assert services.view.state == "backoff"
        await services.clock.advance(120)
        assert (services.view.state, services.view.reason_code) == ("failed", "crashed_too_often")


async def test_only_a_stable_minute_makes_the_next_wait_short_again(tmp_path: Path) -> None:
    """Connecting alone proves nothing."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        for attempts in (1, 2, 3):
            await services.report_signals(Disconnected())
            assert services.view.attempts == attempts
            await back(services)
            await kept_alive(services, 59)
        await services.report_signals(Disconnected())
        assert services.view.attempts == 4
        await back(services)
        await kept_alive(services, 60)
        assert services.view.attempts == 0


def test_the_wait_doubles_to_15_minutes_and_never_in_step() -> None:
    """Between half and all of 2, 4, 8 … seconds; the same seed gives the same waits."""
    for attempts in range(40):
        longest = min(900.0, 2.0 * 2 ** min(attempts, 30))
        waits = {transitions.compute_backoff_delay(attempts, Random(seed)) for seed in range(30)}  # noqa: S311
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 20
    seeded = [transitions.compute_backoff_delay(3, Random(1)) for _ in range(2)]  # noqa: S311
    assert seeded[0] == seeded[1]


@pytest.mark.parametrize("code", [400, 409, 415, 418, 501])
async def test_a_refusal_is_tried_once_more_after_15_minutes(tmp_path: Path, code: int) -> None:
    """And then a person looks into it."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(ConnectionRefused.from_code(code))
        view = services.view
        assert (view.state, view.user_action) == ("failed", "wait_until")
        assert view.deadline == services.clock.now() + timedelta(minutes=15)
        await services.clock.advance(15 * MINUTE)
        assert services.view.state == "connecting"
        await services.report_signals(ConnectionRefused.from_code(code))
        view = services.view
        assert (view.state, view.deadline, view.user_action) == ("failed", None, "acknowledge")


@pytest.mark.parametrize(
    ("code", "state", "action", "phone"),
    [
        (401, "logged_out", "restart_pairing", "unlinked"),
        (405, "outdated", "upgrade", "seen"),
        (440, "replaced", "acknowledge", "seen"),
        (403, "blocked", "acknowledge", "unlinked"),
        (406, "blocked", "acknowledge", "unlinked"),
    ],
)
async def test_a_verdict_of_the_platform_ends_the_line_until_a_person_acts(
    tmp_path: Path, code: int, state: str, action: str, phone: str
) -> None:
    """There is no deadline, no retry, and no sending."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(ConnectionRefused.from_code(code))
        view = services.view
        assert (view.state, view.user_action, view.phone_state) == (state, action, phone)
        assert (view.status, view.deadline) == ("FAILED", None)
        await services.clock.advance(24 * 60 * MINUTE)
        assert len(services.opened) == 1
        assert not services.sessions.can_send(SESSION_NAME, new_chat=False)
        assert view.desired == "on"


async def test_a_closed_line_has_no_say_except_about_a_ban(tmp_path: Path) -> None:
    """What was queued behind the cut is stale; a ban or a block is never missed."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.report_signals(
            Disconnected(), ConnectionRefused.from_code(440), TransportDied()
        )
        assert (services.view.state, services.view.attempts) == ("backoff", 1)
        await back(services)
        await services.report_signals(Disconnected(), ConnectionRefused.from_code(402, 101))
        assert (services.view.state, services.view.sending) == ("banned_temporarily", "none")


async def test_a_start_by_hand_forgets_the_waits_before_it(tmp_path: Path) -> None:
    """A person who starts again is not made to wait for old troubles."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        for _ in range(3):
            await services.report_signals(Disconnected())
            await back(services)
        assert services.view.attempts == 3
        await services.sessions.restart(SESSION_NAME, "ana")
        await services.clock.settle()
        assert services.view.attempts == 0
