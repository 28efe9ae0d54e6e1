"""What a person may ask: create, start, stop, restart, log out, confirm, delete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.api.signals import Connected, Synced
from daemon.errors import BadRequest, Conflict, NotFound, Unavailable
from storage import audit
from storage import sessions as rows
from tests.helpers.services.sessions import SESSION_NAME, SESSION_PHONE, open_session_services

ZONE = "America/Bogota"


@pytest.mark.parametrize(
    ("name", "channel", "zone"),
    [("Ventas 1", "puppet", ZONE), ("ventas", "pigeon", ZONE), ("ventas", "puppet", "Mars/Base")],
)
async def test_a_session_needs_a_name_a_channel_and_a_time_zone(
    tmp_path: Path, name: str, channel: str, zone: str
) -> None:
    """What is wrong is named, and nothing is made."""
    async with open_session_services(tmp_path) as services:
        with pytest.raises(BadRequest):
            await services.sessions.create(name, channel, zone)
        assert services.sessions.views() == []


async def test_a_name_is_taken_for_ever(tmp_path: Path) -> None:
    """Also after the session was deleted: its messages still point to it."""
    async with open_session_services(tmp_path) as services:
        await services.sessions.create(SESSION_NAME, "puppet", ZONE)
        with pytest.raises(Conflict):
            await services.sessions.create(SESSION_NAME, "puppet", ZONE)
        await services.sessions.delete(SESSION_NAME, "ana")
        with pytest.raises(Conflict):
            await services.sessions.create(SESSION_NAME, "puppet", ZONE)


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    """Except where only yes or no is asked."""
    async with open_session_services(tmp_path) as services:
        with pytest.raises(NotFound):
            services.sessions.view("nobody")
        with pytest.raises(NotFound):
            await services.sessions.start("nobody", "ana")
        assert not services.sessions.can_send("nobody", new_chat=False)
        await services.sessions.delete("nobody", "ana")


async def test_orders_are_idempotent(tmp_path: Path) -> None:
    """The second time changes nothing and writes nothing."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        for order in (services.sessions.start, services.sessions.restart):
            await order(SESSION_NAME, "ana")
        assert len(services.opened) == 1
        await services.sessions.stop(SESSION_NAME, "ana")
        told, commits = len(services.events), services.database.commits
        await services.sessions.stop(SESSION_NAME, "ana")
        assert (len(services.events), services.database.commits) == (told, commits)
        assert services.view.state == "stopped"
        await services.sessions.delete(SESSION_NAME, "ana")
        await services.sessions.delete(SESSION_NAME, "ana")
        assert services.sessions.views() == []
        gone = [event for event in services.events if event.type == "session.deleted"]
        assert [(event.subject, event.data["who"]) for event in gone] == [(SESSION_NAME, "ana")]


async def test_desired_and_observed_state_are_apart(tmp_path: Path) -> None:
    """What a person wants stays, whatever becomes of the line; each order is in the audit."""
    async with open_session_services(tmp_path) as services:
        await services.start_session()
        assert (services.view.desired, services.view.state) == ("on", "starting")
        await services.clock.advance(60)
        assert (services.view.desired, services.view.state) == ("on", "backoff")
        await services.sessions.stop(SESSION_NAME, "beto")
        assert (services.view.desired, services.view.state) == ("off", "stopped")
        entries = await services.database.read(
            lambda reader: audit.list_subject_audit_entries(reader, SESSION_NAME)
        )
        assert [(entry.action, entry.who) for entry in entries] == [
            ("session_created", "system"), ("session_started", "ana"), ("session_stopped", "beto")
        ]  # fmt: skip
        history = await services.database.read(
            lambda reader: rows.list_session_history(reader, SESSION_NAME)
        )
        assert [(move.region, move.previous, move.state) for move in history] == [
            ("connection", "stopped", "starting"),
            ("desired", "off", "on"),
            ("connection", "starting", "backoff"),
            ("connection", "backoff", "stopped"),
            ("desired", "on", "off"),
        ]


async def test_stop_closes_the_line_and_rests(tmp_path: Path) -> None:
    """At rest a session has no task and no timer."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.stop(SESSION_NAME, "ana")
        assert services.puppet.closed
        await services.clock.settle()
        assert services.clock.sleepers == 0
        assert services.sessions.running_count == 0


async def test_logout_unlinks_the_phone_and_keeps_the_number(tmp_path: Path) -> None:
    """The next start shows a code; the number's history stays its own."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.logout(SESSION_NAME, "ana")
        assert services.puppet.logged_out
        view = services.view
        assert (view.state, view.phone_state, view.phone) == ("stopped", "unlinked", SESSION_PHONE)
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        assert not services.puppet.context.session.paired


async def test_logout_of_a_stopped_session_opens_a_line_for_it(tmp_path: Path) -> None:
    """And closes it again; one that can't be opened does not hold the order up."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.stop(SESSION_NAME, "ana")
        await services.sessions.logout(SESSION_NAME, "ana")
        assert len(services.opened) == 2
        assert services.puppet.logged_out
        assert services.puppet.closed
        assert not services.puppet.connected
        await services.sessions.start(SESSION_NAME, "ana")
        await services.clock.settle()
        await services.sessions.stop(SESSION_NAME, "ana")
        services.fail_to_open.append(OSError("gone"))
        await services.sessions.delete(SESSION_NAME, "ana")
        assert services.sessions.views() == []


async def test_there_must_be_something_to_confirm(tmp_path: Path) -> None:
    """Confirming nothing is a conflict."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        with pytest.raises(Conflict):
            await services.sessions.acknowledge(SESSION_NAME, "ana")


async def test_a_caller_who_gives_up_does_not_cut_the_order_in_half(tmp_path: Path) -> None:
    """The session goes on to what was asked, and stays whole."""
    async with open_session_services(tmp_path) as services:
        await services.sessions.create(SESSION_NAME, "puppet", ZONE)
        for _ in range(3):
            asked = asyncio.create_task(services.sessions.start(SESSION_NAME, "ana"))
            await asyncio.sleep(0)
            asked.cancel()
            await services.clock.settle()
        assert services.view.state == "starting"
        assert (await services.get_row()).connection == "starting"
        await services.report_signals(Connected(), Synced())
        assert services.view.state == "ready"


async def test_a_closed_house_refuses_orders(tmp_path: Path) -> None:
    """Closing is final, and twice is fine."""
    async with open_session_services(tmp_path) as services:
        await services.pair_session()
        await services.sessions.close()
        await services.sessions.close()
        with pytest.raises(Unavailable):
            await services.sessions.stop(SESSION_NAME, "ana")
        assert (await services.get_row()).connection == "ready"
