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
from daemon.sessions import backoff
from tests.helpers.sessions import NAME, Room, sessions_room

MINUTE = 60.0


async def kept_alive(room: Room, seconds: float) -> None:
    """Let time pass on a line that shows every 20 seconds that it lives."""
    while seconds > 0:
        step = min(20.0, seconds)
        await room.clock.advance(step)
        await room.says(KeepAlive())
        seconds -= step


async def back(room: Room) -> None:
    """Wait for the next attempt, and let it succeed."""
    deadline = room.view.deadline
    assert deadline is not None
    await room.clock.advance((deadline - room.clock.now()).total_seconds())
    await room.says(Connected(), Synced())
    assert room.view.state == "ready"


async def test_45_silent_seconds_degrade_a_session_and_a_frame_mends_it(tmp_path: Path) -> None:
    """Nothing is sent meanwhile."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.clock.advance(44.9)
        assert room.view.state == "ready"
        await room.clock.advance(0.1)
        assert (room.view.state, room.view.reason_code) == ("degraded", "line_silent")
        assert not room.sessions.can_send(NAME, new_chat=False)
        await room.says(KeepAlive())
        assert room.view.state == "ready"
        assert room.ready == [NAME, NAME]


async def test_frames_keep_a_session_ready(tmp_path: Path) -> None:
    """An hour of keep-alives is an hour of ready, and writes nothing."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await kept_alive(room, 2 * MINUTE)
        commits = room.database.commits
        await kept_alive(room, 10 * MINUTE)
        assert room.view.state == "ready"
        assert room.database.commits == commits


async def test_a_lost_keep_alive_degrades_until_it_is_restored(tmp_path: Path) -> None:
    """The platform's own word for silence."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(KeepAliveLost())
        assert (room.view.state, room.view.reason_code) == ("degraded", "keepalive_lost")
        await room.says(KeepAliveRestored())
        assert room.view.state == "ready"


async def test_three_degraded_minutes_lead_to_a_new_line(tmp_path: Path) -> None:
    """Silence is not waited out for ever."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(KeepAliveLost())
        await room.clock.advance(179.9)
        assert len(room.opened) == 1
        await room.clock.advance(0.1)
        assert len(room.opened) == 2
        assert room.opened[0].closed
        assert room.view.state == "connecting"


async def test_an_unknown_stream_error_leads_to_a_new_line_after_10_seconds(
    tmp_path: Path,
) -> None:
    """A keep-alive on a socket that is logged out proves nothing."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(StreamErrorUnknown(), KeepAlive(), KeepAliveRestored())
        assert (room.view.state, room.view.reason_code) == ("degraded", "stream_error")
        await room.clock.advance(10)
        assert (room.view.state, len(room.opened)) == ("connecting", 2)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (Disconnected("reset"), "disconnected"),
        (ConnectionRefused(500), "server_trouble"),
        (ConnectionRefused(503), "server_trouble"),
        (ConnectionRefused(499), "server_trouble"),
        (TransportDied("abort"), "worker_died"),
    ],
)
async def test_a_lost_line_backs_off_and_comes_back(
    tmp_path: Path, signal: Signal, reason: str
) -> None:
    """The line is closed, the next attempt has a moment, and it needs no person."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(signal)
        view = room.view
        assert (view.state, view.reason_code, view.attempts) == ("backoff", reason, 1)
        assert view.deadline is not None
        assert 1 <= (view.deadline - room.clock.now()).total_seconds() <= 2
        assert room.puppet.closed
        assert room.view.user_action == "wait_until"
        await back(room)


async def test_a_stream_that_ends_or_breaks_is_a_dead_worker(tmp_path: Path) -> None:
    """Whatever a transport does wrong becomes a crash with a way back."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        room.puppet.end()
        await room.clock.settle()
        assert room.view.reason_code == "worker_died"
        await back(room)
        await room.says(RuntimeError("a field is not set"))
        assert room.view.reason_code == "worker_died"


async def test_five_crashes_in_ten_minutes_are_too_many(tmp_path: Path) -> None:
    """Then a person looks; a start by hand begins anew."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        for _ in range(4):
            await room.says(TransportDied())
            await back(room)
        await room.says(TransportDied())
        view = room.view
        assert (view.state, view.reason_code, view.deadline) == (
            "failed", "crashed_too_often", None
        )  # fmt: skip
        await room.sessions.start(NAME, "ana")
        await room.clock.settle()
        await room.says(TransportDied())
        assert room.view.state == "backoff"


async def test_crashes_that_are_far_apart_do_not_add_up(tmp_path: Path) -> None:
    """Five in an hour are a bad day, no defect."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        for _ in range(6):
            await room.says(TransportDied())
            await back(room)
            await kept_alive(room, 4 * MINUTE)
        assert room.view.state == "ready"


async def test_a_line_that_can_not_be_opened_is_a_crash(tmp_path: Path) -> None:
    """A worker that does not start is tried again, five times."""
    async with sessions_room(tmp_path) as room:
        room.fail_to_open += [OSError("no such program")] * 5
        await room.begun()
        assert room.view.state == "backoff"
        await room.clock.advance(120)
        assert (room.view.state, room.view.reason_code) == ("failed", "crashed_too_often")


async def test_only_a_stable_minute_makes_the_next_wait_short_again(tmp_path: Path) -> None:
    """Connecting alone proves nothing."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        for attempts in (1, 2, 3):
            await room.says(Disconnected())
            assert room.view.attempts == attempts
            await back(room)
            await kept_alive(room, 59)
        await room.says(Disconnected())
        assert room.view.attempts == 4
        await back(room)
        await kept_alive(room, 60)
        assert room.view.attempts == 0


def test_the_wait_doubles_to_15_minutes_and_never_in_step() -> None:
    """Between half and all of 2, 4, 8 … seconds; the same seed gives the same waits."""
    for attempts in range(40):
        longest = min(900.0, 2.0 * 2 ** min(attempts, 30))
        waits = {backoff.delay(attempts, Random(seed)) for seed in range(30)}  # noqa: S311
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(waits) > 20
    assert backoff.delay(3, Random(1)) == backoff.delay(3, Random(1))  # noqa: S311


@pytest.mark.parametrize("code", [400, 409, 415, 418, 501])
async def test_a_refusal_is_tried_once_more_after_15_minutes(tmp_path: Path, code: int) -> None:
    """And then a person looks into it."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(ConnectionRefused(code))
        view = room.view
        assert (view.state, view.user_action) == ("failed", "wait_until")
        assert view.deadline == room.clock.now() + timedelta(minutes=15)
        await room.clock.advance(15 * MINUTE)
        assert room.view.state == "connecting"
        await room.says(ConnectionRefused(code))
        view = room.view
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
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(ConnectionRefused(code))
        view = room.view
        assert (view.state, view.user_action, view.phone_state) == (state, action, phone)
        assert (view.status, view.deadline) == ("FAILED", None)
        await room.clock.advance(24 * 60 * MINUTE)
        assert len(room.opened) == 1
        assert not room.sessions.can_send(NAME, new_chat=False)
        assert view.desired == "on"


async def test_a_closed_line_has_no_say_except_about_a_ban(tmp_path: Path) -> None:
    """What was queued behind the cut is stale; a ban or a block is never missed."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.says(Disconnected(), ConnectionRefused(440), TransportDied())
        assert (room.view.state, room.view.attempts) == ("backoff", 1)
        await back(room)
        await room.says(Disconnected(), ConnectionRefused(402, 101))
        assert (room.view.state, room.view.sending) == ("banned_temporarily", "none")


async def test_a_start_by_hand_forgets_the_waits_before_it(tmp_path: Path) -> None:
    """A person who starts again is not made to wait for old troubles."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        for _ in range(3):
            await room.says(Disconnected())
            await back(room)
        assert room.view.attempts == 3
        await room.sessions.restart(NAME, "ana")
        await room.clock.settle()
        assert room.view.attempts == 0
