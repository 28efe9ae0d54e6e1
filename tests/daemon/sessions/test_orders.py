"""What a person may ask: create, start, stop, restart, log out, confirm, delete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.api.signals import Connected, Synced
from daemon.errors import BadRequest, Conflict, NotFound, Unavailable
from storage import audit
from storage import sessions as rows
from tests.helpers.sessions import NAME, PHONE, sessions_room

ZONE = "America/Bogota"


@pytest.mark.parametrize(
    ("name", "channel", "zone"),
    [("Ventas 1", "puppet", ZONE), ("ventas", "pigeon", ZONE), ("ventas", "puppet", "Mars/Base")],
)
async def test_a_session_needs_a_name_a_channel_and_a_time_zone(
    tmp_path: Path, name: str, channel: str, zone: str
) -> None:
    """What is wrong is named, and nothing is made."""
    async with sessions_room(tmp_path) as room:
        with pytest.raises(BadRequest):
            await room.sessions.create(name, channel, zone)
        assert room.sessions.views() == []


async def test_a_name_is_taken_for_ever(tmp_path: Path) -> None:
    """Also after the session was deleted: its messages still point to it."""
    async with sessions_room(tmp_path) as room:
        await room.sessions.create(NAME, "puppet", ZONE)
        with pytest.raises(Conflict):
            await room.sessions.create(NAME, "puppet", ZONE)
        await room.sessions.delete(NAME, "ana")
        with pytest.raises(Conflict):
            await room.sessions.create(NAME, "puppet", ZONE)


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    """Except where only yes or no is asked."""
    async with sessions_room(tmp_path) as room:
        with pytest.raises(NotFound):
            room.sessions.view("nobody")
        with pytest.raises(NotFound):
            await room.sessions.start("nobody", "ana")
        assert not room.sessions.can_send("nobody", new_chat=False)
        await room.sessions.delete("nobody", "ana")


async def test_orders_are_idempotent(tmp_path: Path) -> None:
    """The second time changes nothing and writes nothing."""
    async with sessions_room(tmp_path) as room:
        await room.begun()
        for order in (room.sessions.start, room.sessions.restart):
            await order(NAME, "ana")
        assert len(room.opened) == 1
        await room.sessions.stop(NAME, "ana")
        told, commits = len(room.events), room.database.commits
        await room.sessions.stop(NAME, "ana")
        assert (len(room.events), room.database.commits) == (told, commits)
        assert room.view.state == "stopped"
        await room.sessions.delete(NAME, "ana")
        await room.sessions.delete(NAME, "ana")
        assert room.sessions.views() == []
        gone = [event for event in room.events if event.type == "session.deleted"]
        assert [(event.subject, event.data["who"]) for event in gone] == [(NAME, "ana")]


async def test_desired_and_observed_state_are_apart(tmp_path: Path) -> None:
    """What a person wants stays, whatever becomes of the line; each order is in the audit."""
    async with sessions_room(tmp_path) as room:
        await room.begun()
        assert (room.view.desired, room.view.state) == ("on", "starting")
        await room.clock.advance(60)
        assert (room.view.desired, room.view.state) == ("on", "backoff")
        await room.sessions.stop(NAME, "beto")
        assert (room.view.desired, room.view.state) == ("off", "stopped")
        entries = await room.database.read(lambda reader: audit.of_subject(reader, NAME))
        assert [(entry.action, entry.who) for entry in entries] == [
            ("session_created", "system"), ("session_started", "ana"), ("session_stopped", "beto")
        ]  # fmt: skip
        history = await room.database.read(lambda reader: rows.history(reader, NAME))
        assert [(move.region, move.previous, move.state) for move in history] == [
            ("connection", "stopped", "starting"),
            ("desired", "off", "on"),
            ("connection", "starting", "backoff"),
            ("connection", "backoff", "stopped"),
            ("desired", "on", "off"),
        ]


async def test_stop_closes_the_line_and_rests(tmp_path: Path) -> None:
    """At rest a session has no task and no timer."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.sessions.stop(NAME, "ana")
        assert room.puppet.closed
        await room.clock.settle()
        assert room.clock.sleepers == 0
        assert room.sessions.awake == 0


async def test_logout_unlinks_the_phone_and_keeps_the_number(tmp_path: Path) -> None:
    """The next start shows a code; the number's history stays its own."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.sessions.logout(NAME, "ana")
        assert room.puppet.logged_out
        view = room.view
        assert (view.state, view.phone_state, view.phone) == ("stopped", "unlinked", PHONE)
        await room.sessions.start(NAME, "ana")
        await room.clock.settle()
        assert not room.puppet.context.session.paired


async def test_logout_of_a_stopped_session_opens_a_line_for_it(tmp_path: Path) -> None:
    """And closes it again; one that can't be opened does not hold the order up."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.sessions.stop(NAME, "ana")
        await room.sessions.logout(NAME, "ana")
        assert len(room.opened) == 2
        assert room.puppet.logged_out
        assert room.puppet.closed
        assert not room.puppet.connected
        await room.sessions.start(NAME, "ana")
        await room.clock.settle()
        await room.sessions.stop(NAME, "ana")
        room.fail_to_open.append(OSError("gone"))
        await room.sessions.delete(NAME, "ana")
        assert room.sessions.views() == []


async def test_there_must_be_something_to_confirm(tmp_path: Path) -> None:
    """Confirming nothing is a conflict."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        with pytest.raises(Conflict):
            await room.sessions.acknowledge(NAME, "ana")


async def test_a_caller_who_gives_up_does_not_cut_the_order_in_half(tmp_path: Path) -> None:
    """The session goes on to what was asked, and stays whole."""
    async with sessions_room(tmp_path) as room:
        await room.sessions.create(NAME, "puppet", ZONE)
        for _ in range(3):
            asked = asyncio.create_task(room.sessions.start(NAME, "ana"))
            await asyncio.sleep(0)
            asked.cancel()
            await room.clock.settle()
        assert room.view.state == "starting"
        assert (await room.row()).connection == "starting"
        await room.says(Connected(), Synced())
        assert room.view.state == "ready"


async def test_a_closed_house_refuses_orders(tmp_path: Path) -> None:
    """Closing is final, and twice is fine."""
    async with sessions_room(tmp_path) as room:
        await room.paired()
        await room.sessions.close()
        await room.sessions.close()
        with pytest.raises(Unavailable):
            await room.sessions.stop(NAME, "ana")
        assert (await room.row()).connection == "ready"
