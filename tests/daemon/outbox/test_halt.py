"""The halt: nothing goes out, replies included, until a person lifts it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import BadRequest, Conflict
from daemon.outbox.halt import settle_restored_queue
from statemachines.message import MessageState
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import (
    ANA,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

S = MessageState
HOUR = timedelta(hours=1)

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


async def test_after_a_restore_only_replies_go_until_a_person_resumes(
    services: MessagingServices,
) -> None:
    """What waited in the backup is in doubt; who wrote to us today is answered."""
    beto, dora = build_phone(2), build_phone(4)
    await services.add_prospect(beto)
    later = services.clock.now() + timedelta(hours=2)
    deferred = await services.enqueue_and_settle(beto, not_before=later)
    await services.database.write(partial(settle_restored_queue, reason="it burnt"))

    assert await services.get_state(deferred) is S.IN_DOUBT
    halt = await services.halt.get_current()
    assert halt is not None
    assert (halt.replies_go, halt.reason) == (True, "restored: it burnt")
    await services.add_inbound(await services.resolve_contact(ANA))
    reply = await services.enqueue_and_settle(ANA, "Sí, claro")
    assert await services.get_state(reply) is S.SENT
    await services.add_prospect(dora)
    commercial = await services.enqueue_and_settle(dora, "¿Seguís buscando turno para el jueves?")
    await services.clock.advance(600)
    assert await services.get_state(commercial) is S.CLEARED

    # A whole halt on top of it stops replies, too; one resume lifts it.
    assert not (await services.halt.halt("eva", "an alarm")).replies_go
    await services.halt.resume("eva", "looked at, all is well")
    await services.clock.settle()
    assert await services.get_state(commercial) is S.SENT


async def test_what_a_restore_put_in_doubt_keeps_nothing_from_being_done_in_time(
    services: MessagingServices,
) -> None:
    """No send of it is on record. The answers of today leave when their time comes."""
    await services.add_prospect(build_phone(2))
    await services.enqueue_and_settle(build_phone(2), not_before=services.clock.now() + HOUR)
    await services.database.write(partial(settle_restored_queue, reason="it burnt"))
    await services.add_inbound(await services.resolve_contact(ANA))
    soon = services.clock.now() + timedelta(seconds=5)
    reply = await services.enqueue_and_settle(ANA, "Sí, claro", not_before=soon)
    assert await services.get_state(reply) is S.CLEARED
    await services.clock.advance(10)
    assert await services.get_state(reply) is S.SENT


async def test_every_live_state_is_in_doubt_after_a_restore(services: MessagingServices) -> None:
    """The queue, what a person took, and what was on its way: nobody knows what became of it."""
    rows = (S.QUEUED, S.CLEARED, S.HELD, S.DEFERRED, S.SENDING)
    await services.halt.halt("eva", "so that all of it waits")
    numbers = [build_phone(10 + each) for each in range(len(rows))]
    found = []
    for number, state in zip(numbers, rows, strict=True):
        await services.add_prospect(number)
        found.append(await services.enqueue_and_settle(number))
        await services.execute_sql("DROP TRIGGER IF EXISTS messages_move_legally")
        await services.execute_sql("DROP TRIGGER IF EXISTS messages_hold_their_proof")
        await services.execute_sql("UPDATE messages SET state = ? WHERE id = ?", state, found[-1])
    await services.database.write(partial(settle_restored_queue, reason="it burnt"))
    assert {await services.get_state(each) for each in found} == {S.IN_DOUBT}
