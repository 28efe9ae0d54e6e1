"""The halt: nothing goes out, replies included, until a person lifts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import BadRequest, Conflict
from statemachines.message import MessageState
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import ANA, MessagingServices, open_messaging_services

S = MessageState

HALT_AS_IT_COMMITS = """
CREATE TRIGGER halt_as_it_commits AFTER UPDATE OF state ON messages WHEN NEW.state = 'sending'
BEGIN
    INSERT OR IGNORE INTO halts (at, who, reason)
    VALUES ('2026-03-03T15:00:00.000Z', 'eva', 'an alarm');
END
"""
"""Somebody halts in the very moment between the commit and the wire."""


async def test_nothing_is_claimed_while_sending_is_halted(services: MessagingServices) -> None:
    """Replies included; what was cleared stays cleared."""
    await services.add_inbound(await services.resolve_contact(ANA))
    await services.halt.halt("eva", "an alarm")
    message = await services.enqueue_and_settle()
    await services.clock.advance(600)
    assert await services.get_state(message) is S.CLEARED
    await services.halt.resume("eva", "a false alarm")
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_a_halt_between_the_commit_and_the_wire_keeps_the_message_back(
    services: MessagingServices,
) -> None:
    """It certainly did not leave: deferred until somebody resumes, its budget given back."""
    await services.execute_sql(HALT_AS_IT_COMMITS)
    message = await services.enqueue_and_settle()
    found = await services.get_message(message)
    assert (found.state, found.waits_for, found.attempts) == (S.DEFERRED, "halt", 0)
    assert services.wire.sends == []
    assert await services.query_rows("SELECT * FROM spends") == []
    await services.execute_sql("DROP TRIGGER halt_as_it_commits")
    await services.halt.resume("eva", "a false alarm")
    await services.clock.settle()
    assert await services.get_state(message) is S.SENT


async def test_what_is_on_the_wire_already_is_awaited(services: MessagingServices) -> None:
    """A halt can't call it back, and does not pretend to."""
    services.wire.results.append(ScriptedSendResult.SLOW)
    message = await services.enqueue_and_settle()
    await services.halt.halt("eva", "an alarm")
    await services.clock.advance(2)
    assert await services.get_state(message) is S.SENT


async def test_a_halt_survives_a_restart(tmp_path: Path) -> None:
    """Who, when and why are still there, and still nothing goes."""
    clock = FakeClock()
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.add_session()
        await services.add_prospect()
        await services.halt.halt("eva", " an alarm ")
    async with open_messaging_services(tmp_path, clock=clock) as services:
        found = await services.halt.get_current()
        assert found is not None
        assert (found.who, found.reason) == ("eva", "an alarm")
        message = await services.enqueue_and_settle()
        await services.clock.advance(6)  # its session was being restored: it is judged once more
        assert await services.get_state(message) is S.CLEARED


async def test_a_second_halt_leaves_the_first_as_it_is(services: MessagingServices) -> None:
    """One open halt at a time; one resume lifts it."""
    first = await services.halt.halt("eva", "an alarm")
    assert await services.halt.halt("leo", "another") == first
    await services.halt.resume("leo", "all clear")
    assert await services.halt.get_current() is None
    with pytest.raises(Conflict):
        await services.halt.resume("leo", "again")


async def test_halting_and_resuming_need_a_reason_and_are_told(services: MessagingServices) -> None:
    """Both stand in the audit and among the events."""
    with pytest.raises(BadRequest):
        await services.halt.halt("eva", " ")
    await services.halt.halt("eva", "an alarm")
    with pytest.raises(BadRequest):
        await services.halt.resume("eva", "")
    await services.halt.resume("eva", "all clear")
    told = [event.type for event in services.published if event.type.startswith("sending.")]
    assert told == ["sending.halted", "sending.resumed"]
    assert await services.query_rows("SELECT action, reason FROM audit WHERE who <> 'daemon'") == [
        ("halt", "an alarm"),
        ("resume", "all clear"),
    ]
