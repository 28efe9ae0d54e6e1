"""A restart of the daemon: every stored state goes on truthfully, and nobody acts unasked."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.api.signals import Connected, QrIssued, Synced
from daemon.errors import StartRefused
from statemachines.session import (
    ACTIVE_STATES,
    NEEDS_PERSON_STATES,
    ConnectionState,
    SendingState,
)
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.services.sessions import (
    SESSION_NAME,
    SESSION_PHONE,
    SessionServices,
    build_stored_session,
    leave_stored_sessions,
    open_session_services,
)


async def advance_to(services: SessionServices, moment: datetime) -> None:
    """Let time pass until ``moment``."""
    await services.clock.advance((moment - services.clock.now()).total_seconds())


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES))
async def test_who_was_connected_dials_again(tmp_path: Path, state: ConnectionState) -> None:
    """The row says at once that there is no connection, and a new line comes by itself."""
    await leave_stored_sessions(
        tmp_path, build_stored_session(state, due_at=MIDDAY + timedelta(seconds=30))
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        told = [event.data["state"] for event in services.events]
        assert told[:1] == ([] if state == "backoff" else ["backoff"])
        await services.clock.advance(31)
        await services.report_signals(Connected(), Synced())
        assert services.view.state == "ready"
        assert len(services.opened) == 1


@pytest.mark.parametrize("state", sorted(NEEDS_PERSON_STATES | {ConnectionState.STOPPED}))
async def test_who_waited_for_a_person_still_waits(tmp_path: Path, state: ConnectionState) -> None:
    """No entry action runs again: nothing is opened, written or told."""
    await leave_stored_sessions(tmp_path, build_stored_session(state))
    async with open_session_services(tmp_path) as services:
        before = await services.get_row()
        await services.sessions.restore()
        await services.clock.advance(3600)
        assert services.view.state == state
        assert await services.get_row() == before
        assert services.events == []
        assert services.opened == []


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES))
async def test_who_is_not_wanted_does_not_come_back(tmp_path: Path, state: ConnectionState) -> None:
    """A session that is switched off is stopped, whatever its row says."""
    await leave_stored_sessions(tmp_path, build_stored_session(state, desired="off"))
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        await services.clock.advance(3600)
        assert services.view.state == "stopped"
        assert services.opened == []


async def test_a_backoff_goes_on_where_it_was(tmp_path: Path) -> None:
    """Restarting the daemon does not make the wait shorter, nor forget the attempts."""
    due = MIDDAY + timedelta(minutes=9)
    await leave_stored_sessions(
        tmp_path, build_stored_session(ConnectionState.BACKOFF, due_at=due, attempts=8)
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        assert (services.view.deadline, services.view.attempts) == (due, 8)
        await advance_to(services, due)
        assert len(services.opened) == 1


async def test_codes_that_ran_out_meanwhile_stay_run_out(tmp_path: Path) -> None:
    """No endless loop of codes over restarts."""
    past = MIDDAY - timedelta(seconds=1)
    await leave_stored_sessions(
        tmp_path, build_stored_session(ConnectionState.AWAITING_SCAN, due_at=past)
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        assert services.view.state == "qr_expired"


async def test_a_deadline_that_passed_meanwhile_is_kept_at_once(tmp_path: Path) -> None:
    """A ban that is over waits for its confirmation; a refusal is tried its once."""
    past = MIDDAY - timedelta(hours=1)
    ban = build_stored_session(
        ConnectionState.BANNED_TEMPORARILY,
        name="a",
        due_at=past,
        sending=SendingState.NONE,
        phone=None,
    )
    failure = build_stored_session(ConnectionState.FAILED, name="b", due_at=past)
    await leave_stored_sessions(tmp_path, ban, failure)
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        await services.clock.settle()
        assert services.sessions.view("a").reason_code == "ban_expired"
        assert services.sessions.view("b").state == "connecting"


async def test_a_restriction_that_was_stored_still_holds(tmp_path: Path) -> None:
    """And ends at its moment."""
    until = MIDDAY + timedelta(seconds=40)
    record = build_stored_session(
        ConnectionState.READY, sending=SendingState.REPLY_ONLY, sending_until=until
    )
    await leave_stored_sessions(tmp_path, record)
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        await services.clock.advance(1)
        await services.report_signals(Connected(), Synced())
        assert not services.sessions.can_send(SESSION_NAME, new_chat=True)
        await advance_to(services, until)
        assert services.sessions.can_send(SESSION_NAME, new_chat=True)


async def test_sessions_come_back_one_after_the_other(tmp_path: Path) -> None:
    """200 ms apart, in the order in which they were made; the ones at rest take no turn."""
    names = [f"s{number}" for number in range(5)]
    await leave_stored_sessions(
        tmp_path,
        *(build_stored_session(ConnectionState.READY, name=name) for name in names),
        build_stored_session(ConnectionState.STOPPED, name="s0a", desired="off"),
    )
    async with open_session_services(tmp_path) as services:
        await services.sessions.restore()
        opened = []
        for _ in range(11):
            await services.clock.settle()
            opened.append(len(services.opened))
            await services.clock.advance(0.1)
        assert opened == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]
        assert [puppet.context.session.name for puppet in services.opened] == names


async def test_a_session_whose_channel_is_missing_stops_the_start(tmp_path: Path) -> None:
    """The sentence names both."""
    await leave_stored_sessions(
        tmp_path, build_stored_session(ConnectionState.READY, channel="pigeon")
    )
    async with open_session_services(tmp_path) as services:
        with pytest.raises(StartRefused, match=r"ventas.*pigeon"):
            await services.sessions.restore()


async def test_a_killed_pairing_is_found_again(tmp_path: Path) -> None:
    """A simulated line that stored its login while the daemon died brings its number along."""
    clock = FakeClock()
    async with open_session_services(tmp_path, clock) as services:
        await services.start_session("simulated")
        await clock.advance(3.5)
        services.database.refuses = True
        await clock.advance(1)
        assert (await services.get_row()).phone is None
    async with open_session_services(tmp_path, clock) as services:
        await services.sessions.restore()
        await clock.advance(60)
        assert services.view.state == "ready"
        assert (await services.get_row()).phone == services.view.phone != SESSION_PHONE


async def test_a_shutdown_writes_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """What was ready is ready again, without a code."""
    clock = FakeClock()
    async with open_session_services(tmp_path, clock) as services:
        await services.start_session()
        await services.report_signals(QrIssued("secret", 1, 6, 60))
        told = len(services.events)
        await services.sessions.close()
        assert len(services.events) == told
        assert clock.sleepers == 0
        assert services.puppet.closed
