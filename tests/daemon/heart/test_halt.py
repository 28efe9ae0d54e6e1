"""The halt: nothing goes out, replies included, until a person lifts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import BadRequest, Conflict
from statemachines.message import MessageState
from tests.helpers.clock import FakeClock
from tests.helpers.heart import ANA, SmallHouse, small_house
from tests.helpers.wire import Say

S = MessageState

HALT_AS_IT_COMMITS = """
CREATE TRIGGER halt_as_it_commits AFTER UPDATE OF state ON messages WHEN NEW.state = 'sending'
BEGIN
    INSERT OR IGNORE INTO halts (at, who, reason)
    VALUES ('2026-03-03T15:00:00.000Z', 'eva', 'an alarm');
END
"""
"""Somebody halts in the very moment between the commit and the wire."""


async def test_nothing_is_claimed_while_sending_is_halted(house: SmallHouse) -> None:
    """Replies included; what was cleared stays cleared."""
    await house.inbound(await house.contact(ANA))
    await house.halt.halt("eva", "an alarm")
    message = await house.post()
    await house.clock.advance(600)
    assert await house.state(message) is S.CLEARED
    await house.halt.resume("eva", "a false alarm")
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def test_a_halt_between_the_commit_and_the_wire_keeps_the_message_back(
    house: SmallHouse,
) -> None:
    """It certainly did not leave: deferred until somebody resumes, its budget given back."""
    await house.execute(HALT_AS_IT_COMMITS)
    message = await house.post()
    found = await house.message(message)
    assert (found.state, found.waits_for, found.attempts) == (S.DEFERRED, "halt", 0)
    assert house.wire.sends == []
    assert await house.rows("SELECT * FROM spends") == []
    await house.execute("DROP TRIGGER halt_as_it_commits")
    await house.halt.resume("eva", "a false alarm")
    await house.clock.settle()
    assert await house.state(message) is S.SENT


async def test_what_is_on_the_wire_already_is_awaited(house: SmallHouse) -> None:
    """A halt can't call it back, and does not pretend to."""
    house.wire.script.append(Say.SLOW)
    message = await house.post()
    await house.halt.halt("eva", "an alarm")
    await house.clock.advance(2)
    assert await house.state(message) is S.SENT


async def test_a_halt_survives_a_restart(tmp_path: Path) -> None:
    """Who, when and why are still there, and still nothing goes."""
    clock = FakeClock()
    async with small_house(tmp_path, clock=clock) as house:
        await house.session()
        await house.prospect()
        await house.halt.halt("eva", " an alarm ")
    async with small_house(tmp_path, clock=clock) as house:
        found = await house.halt.state()
        assert found is not None
        assert (found.who, found.reason) == ("eva", "an alarm")
        assert await house.state(await house.post()) is S.CLEARED


async def test_a_second_halt_leaves_the_first_as_it_is(house: SmallHouse) -> None:
    """One open halt at a time; one resume lifts it."""
    first = await house.halt.halt("eva", "an alarm")
    assert await house.halt.halt("leo", "another") == first
    await house.halt.resume("leo", "all clear")
    assert await house.halt.state() is None
    with pytest.raises(Conflict):
        await house.halt.resume("leo", "again")


async def test_halting_and_resuming_need_a_reason_and_are_told(house: SmallHouse) -> None:
    """Both stand in the audit and among the events."""
    with pytest.raises(BadRequest):
        await house.halt.halt("eva", " ")
    await house.halt.halt("eva", "an alarm")
    with pytest.raises(BadRequest):
        await house.halt.resume("eva", "")
    await house.halt.resume("eva", "all clear")
    told = [event.type for event in house.published if event.type.startswith("sending.")]
    assert told == ["sending.halted", "sending.resumed"]
    assert await house.rows("SELECT action, reason FROM audit") == [
        ("halt", "an alarm"),
        ("resume", "all clear"),
    ]
