"""A restart of the daemon: every stored state goes on truthfully, and nobody acts unasked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.api.signals import Connected, QrIssued, Synced
from daemon.errors import StartRefused
from statemachines.session import ACTIVE, NEEDS_PERSON, ConnectionState, PhoneState, SendingState
from storage import sessions as rows
from storage.sessions import SessionRecord
from storage.tx import Tx
from tests.helpers.clock import MIDDAY, FakeClock
from tests.helpers.sessions import NAME, PHONE, Room, sessions_room


def stored(state: ConnectionState, **columns: object) -> SessionRecord:
    """Return a linked session that stood in ``state`` when the daemon was killed."""
    record = SessionRecord(
        name=NAME,
        channel="puppet",
        phone=PHONE,
        time_zone="America/Bogota",
        options={},
        desired="on",
        connection=state,
        phone_state=PhoneState.SEEN,
        sending=SendingState.ALL,
        reason_code="before",
        since=MIDDAY,
        created_at=MIDDAY,
        phone_seen_at=MIDDAY,
    )
    return replace(record, **columns)  # type: ignore[arg-type]


async def killed_in(folder: Path, *records: SessionRecord) -> None:
    """Leave a database behind as a killed daemon would."""
    async with sessions_room(folder) as room:
        for record in records:
            await room.database.write(partial(_insert, record))


def _insert(record: SessionRecord, tx: Tx) -> None:
    rows.insert(tx, record)


async def advance_to(room: Room, moment: datetime) -> None:
    """Let time pass until ``moment``."""
    await room.clock.advance((moment - room.clock.now()).total_seconds())


@pytest.mark.parametrize("state", sorted(ACTIVE))
async def test_who_was_connected_dials_again(tmp_path: Path, state: ConnectionState) -> None:
    """The row says at once that there is no connection, and a new line comes by itself."""
    await killed_in(tmp_path, stored(state, due_at=MIDDAY + timedelta(seconds=30)))
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        told = [event.data["state"] for event in room.events]
        assert told[:1] == ([] if state == "backoff" else ["backoff"])
        await room.clock.advance(31)
        await room.says(Connected(), Synced())
        assert room.view.state == "ready"
        assert len(room.opened) == 1


@pytest.mark.parametrize("state", sorted(NEEDS_PERSON | {ConnectionState.STOPPED}))
async def test_who_waited_for_a_person_still_waits(tmp_path: Path, state: ConnectionState) -> None:
    """No entry action runs again: nothing is opened, written or told."""
    await killed_in(tmp_path, stored(state))
    async with sessions_room(tmp_path) as room:
        before = await room.row()
        await room.sessions.restore()
        await room.clock.advance(3600)
        assert room.view.state == state
        assert await room.row() == before
        assert room.events == []
        assert room.opened == []


@pytest.mark.parametrize("state", sorted(ACTIVE))
async def test_who_is_not_wanted_does_not_come_back(tmp_path: Path, state: ConnectionState) -> None:
    """A session that is switched off is stopped, whatever its row says."""
    await killed_in(tmp_path, stored(state, desired="off"))
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        await room.clock.advance(3600)
        assert room.view.state == "stopped"
        assert room.opened == []


async def test_a_backoff_goes_on_where_it_was(tmp_path: Path) -> None:
    """Restarting the daemon does not make the wait shorter, nor forget the attempts."""
    due = MIDDAY + timedelta(minutes=9)
    await killed_in(tmp_path, stored(ConnectionState.BACKOFF, due_at=due, attempts=8))
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        assert (room.view.deadline, room.view.attempts) == (due, 8)
        await advance_to(room, due)
        assert len(room.opened) == 1


async def test_codes_that_ran_out_meanwhile_stay_run_out(tmp_path: Path) -> None:
    """No endless loop of codes over restarts."""
    past = MIDDAY - timedelta(seconds=1)
    await killed_in(tmp_path, stored(ConnectionState.AWAITING_SCAN, due_at=past))
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        assert room.view.state == "qr_expired"


async def test_a_deadline_that_passed_meanwhile_is_kept_at_once(tmp_path: Path) -> None:
    """A ban that is over waits for its confirmation; a refusal is tried its once."""
    past = MIDDAY - timedelta(hours=1)
    ban = stored(
        ConnectionState.BANNED_TEMPORARILY,
        name="a",
        due_at=past,
        sending=SendingState.NONE,
        phone=None,
    )
    failure = stored(ConnectionState.FAILED, name="b", due_at=past)
    await killed_in(tmp_path, ban, failure)
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        await room.clock.settle()
        assert room.sessions.view("a").reason_code == "ban_expired"
        assert room.sessions.view("b").state == "connecting"


async def test_a_restriction_that_was_stored_still_holds(tmp_path: Path) -> None:
    """And ends at its moment."""
    until = MIDDAY + timedelta(seconds=40)
    record = stored(ConnectionState.READY, sending=SendingState.REPLY_ONLY, sending_until=until)
    await killed_in(tmp_path, record)
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        await room.clock.advance(1)
        await room.says(Connected(), Synced())
        assert not room.sessions.can_send(NAME, new_chat=True)
        await advance_to(room, until)
        assert room.sessions.can_send(NAME, new_chat=True)


async def test_sessions_come_back_one_after_the_other(tmp_path: Path) -> None:
    """200 ms apart, in the order in which they were made; the ones at rest take no turn."""
    names = [f"s{number}" for number in range(5)]
    await killed_in(
        tmp_path,
        *(stored(ConnectionState.READY, name=name) for name in names),
        stored(ConnectionState.STOPPED, name="s0a", desired="off"),
    )
    async with sessions_room(tmp_path) as room:
        await room.sessions.restore()
        opened = []
        for _ in range(11):
            await room.clock.settle()
            opened.append(len(room.opened))
            await room.clock.advance(0.1)
        assert opened == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]
        assert [puppet.context.session.name for puppet in room.opened] == names


async def test_a_session_whose_channel_is_missing_stops_the_start(tmp_path: Path) -> None:
    """The sentence names both."""
    await killed_in(tmp_path, stored(ConnectionState.READY, channel="pigeon"))
    async with sessions_room(tmp_path) as room:
        with pytest.raises(StartRefused, match=r"ventas.*pigeon"):
            await room.sessions.restore()


async def test_a_killed_pairing_is_found_again(tmp_path: Path) -> None:
    """A simulated line that stored its login while the daemon died brings its number along."""
    clock = FakeClock()
    async with sessions_room(tmp_path, clock) as room:
        await room.begun("simulated")
        await clock.advance(3.5)
        room.database.refuses = True
        await clock.advance(1)
        assert (await room.row()).phone is None
    async with sessions_room(tmp_path, clock) as room:
        await room.sessions.restore()
        await clock.advance(60)
        assert room.view.state == "ready"
        assert (await room.row()).phone == room.view.phone != PHONE


async def test_a_shutdown_writes_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """What was ready is ready again, without a code."""
    clock = FakeClock()
    async with sessions_room(tmp_path, clock) as room:
        await room.begun()
        await room.says(QrIssued("secret", 1, 6, 60))
        told = len(room.events)
        await room.sessions.close()
        assert len(room.events) == told
        assert clock.sleepers == 0
        assert room.puppet.closed
