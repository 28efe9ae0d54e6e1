"""From the wire's answer to a message's state: only an acknowledgement makes it `sent`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.outbox.answers import retry_wait
from statemachines.message import MessageState
from storage import receipts
from storage.receipts import ReceiptRecord
from storage.spends import Spend
from tests.helpers.clock import FakeClock
from tests.helpers.heart import ANA, SmallHouse, small_house
from tests.helpers.wire import FakeWire, Say

S = MessageState


async def spent(house: SmallHouse, kind: Spend = Spend.MESSAGE) -> int:
    """Count the ledger."""
    return len(await house.rows("SELECT 1 FROM spends WHERE kind = ?", kind))


async def test_an_acknowledged_message_is_sent_under_the_servers_id(house: SmallHouse) -> None:
    """The happy path: queued, cleared, sending, sent, with the id stored."""
    message = await house.post()
    assert await house.path(message) == ["queued", "cleared", "sending", "sent"]
    assert (await house.message(message)).wire_id == "wire-1"


async def test_a_certain_refusal_fails_the_message_and_gives_its_budget_back(
    house: SmallHouse,
) -> None:
    """It did not leave, so it spent nothing."""
    house.wire.script.append(Say.REFUSE)
    message = await house.post()
    assert await house.state(message) is S.FAILED
    assert (await house.message(message)).reason_code == "refused"
    assert await spent(house) == 0


async def test_a_retryable_refusal_waits_longer_each_time_and_fails_after_five_retries(
    house: SmallHouse,
) -> None:
    """Six attempts in all, each after twice the wait, give or take the jitter."""
    house.wire.usual = Say.RETRY
    message = await house.post()
    for attempt in range(1, 6):
        found = await house.message(message)
        assert (found.state, found.attempts) == (S.DEFERRED, attempt)
        assert found.due_at == found.changed_at + (
            timedelta(milliseconds=retry_wait(message, attempt) // timedelta(milliseconds=1))
        )
        await house.clock.advance(30 * 2 ** (attempt - 1))
    assert await house.state(message) is S.FAILED
    assert len(house.wire.sends) == 6
    assert await spent(house) == 0


def test_the_wait_doubles_within_its_jitter_up_to_an_hour() -> None:
    """Half to whole of 30 s, 60 s, 120 s …; the same at each asking."""
    for attempt in range(1, 12):
        base = min(3600, 30 * 2 ** (attempt - 1))
        wait = retry_wait("msg_1", attempt).total_seconds()
        assert base / 2 <= wait <= base
        assert retry_wait("msg_1", attempt).total_seconds() == wait


async def test_silence_for_75_seconds_is_a_doubt_and_never_a_second_send(
    house: SmallHouse,
) -> None:
    """Nobody knows whether it left; asking again could send it twice."""
    house.wire.script.append(Say.SILENCE)
    message = await house.post()
    await house.clock.advance(74)
    assert await house.state(message) is S.SENDING
    await house.clock.advance(1)
    assert await house.state(message) is S.IN_DOUBT
    assert (await house.message(message)).reason_code == "no_answer"
    await house.clock.leap(86_400)
    assert await house.state(message) is S.IN_DOUBT
    assert len(house.wire.sends) == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Say.UNKNOWN, "line_lost"),
        (Say.RAISE, "transport_failed"),
        (Say.CANCELLED, "line_ended"),
        (Say.NONSENSE, "answer_unusable"),
        (Say.NO_ID, "answer_unusable"),
    ],
)
async def test_an_answer_that_tells_nothing_leaves_a_doubt_and_the_next_message_goes(
    house: SmallHouse, said: Say, code: str
) -> None:
    """No broken transport may make a message `sent`, or stop the session's sending."""
    house.wire.script.append(said)
    message = await house.post()
    assert (await house.message(message)).reason_code == code
    assert await house.state(message) is S.IN_DOUBT
    assert await spent(house) == 1
    await house.prospect("+5491145550002")
    assert (
        await house.state(await house.post("+5491145550002", "¿Cómo va el presupuesto?")) is S.SENT
    )


async def test_an_id_that_was_given_before_acknowledges_nothing(house: SmallHouse) -> None:
    """Two messages can't be the same one on the server."""
    house.wire.usual = Say.SAME_ID
    first = await house.post()
    await house.prospect("+5491145550002")
    second = await house.post("+5491145550002", "¿Cómo va el presupuesto?")
    assert await house.state(first) is S.SENT
    assert await house.state(second) is S.IN_DOUBT


async def test_a_receipt_that_came_before_the_acknowledgement_is_applied_after_it(
    house: SmallHouse,
) -> None:
    """The wire overtakes itself; nothing of it is lost."""
    early = ReceiptRecord(session="main", wire_id="wire-1", kind="read", at=house.clock.now())
    await house.database.write(lambda tx: receipts.note(tx, early, house.clock.now()))
    assert (await house.path(await house.post()))[-2:] == ["sent", "read"]


async def test_a_receipt_that_came_before_the_doubt_settles_it(house: SmallHouse) -> None:
    """It arrived while we waited for an answer: so it went out."""
    house.wire.script.append(Say.SILENCE)
    message = await house.post()
    contact = (await house.message(message)).contact
    early = ReceiptRecord(
        session="main", wire_id="W", kind="delivered", at=house.clock.now(), contact=contact
    )
    await house.database.write(lambda tx: receipts.note(tx, early, house.clock.now()))
    await house.clock.advance(80)
    assert (await house.path(message))[-3:] == ["in_doubt", "sent", "delivered"]
    assert (await house.message(message)).wire_id == "W"


async def test_a_crash_while_sending_leaves_a_doubt_and_nothing_goes_twice(tmp_path: Path) -> None:
    """After a restart nobody knows what left, so it is not sent again."""
    clock = FakeClock()
    wire = FakeWire(clock, usual=Say.SILENCE)
    async with small_house(tmp_path, clock=clock, wire=wire) as house:
        await house.session()
        house.outbox.serve("main")
        await house.prospect()
        message = await house.post()
        assert await house.state(message) is S.SENDING
    wire.usual = Say.ACK
    async with small_house(tmp_path, clock=clock, wire=wire) as house:
        await clock.advance(3600)
        assert await house.state(message) is S.IN_DOUBT
    assert len(wire.sends) == 1


async def test_a_receipt_from_before_the_crash_settles_the_doubt_after_it(tmp_path: Path) -> None:
    """What is stored speaks for itself when the daemon is back."""
    clock = FakeClock()
    wire = FakeWire(clock, usual=Say.SILENCE)
    async with small_house(tmp_path, clock=clock, wire=wire) as house:
        await house.session()
        house.outbox.serve("main")
        contact = await house.prospect()
        message = await house.post()
        early = ReceiptRecord(
            session="main", wire_id="W", kind="delivered", at=clock.now(), contact=contact
        )
        await house.database.write(lambda tx: receipts.note(tx, early, clock.now()))
    async with small_house(tmp_path, clock=clock, wire=wire) as house:
        await clock.settle()
        assert await house.state(message) is S.DELIVERED


async def test_a_stop_awaits_what_is_on_the_wire(tmp_path: Path) -> None:
    """A drain lets the answer come, and begins nothing new."""
    clock = FakeClock()
    async with small_house(tmp_path, clock=clock) as house:
        await house.session()
        house.outbox.serve("main")
        await house.prospect()
        house.wire.script.append(Say.SLOW)
        message = await house.post()
        stopping = asyncio.create_task(house.outbox.stop(10))
        await clock.advance(2)
        await stopping
        assert await house.state(message) is S.SENT


async def test_the_gates_word_is_stored_with_every_send(house: SmallHouse) -> None:
    """One `allow` for exactly this text and recipient, one redeemed permit, both on the row."""
    message = await house.message(await house.post())
    enqueue, release = await house.decisions(message.id)
    assert (enqueue.phase, release.phase) == ("enqueue", "release")
    assert (release.verdict, release.recipient) == ("allow", ANA)
    assert (release.id, release.body_hash) == (message.decision, message.body_hash)
    assert await house.rows("SELECT id, message, decision FROM permits") == [
        (message.permit, message.id, release.id)
    ]


async def test_a_forged_permit_is_a_certain_refusal(house: SmallHouse) -> None:
    """The wire knows another gate's key: nothing leaves, and the message says why."""
    house.wire.forget_the_gate()
    message = await house.post()
    assert (await house.message(message)).reason_code == "permit_forged"
    assert await house.state(message) is S.FAILED
    assert house.wire.sends == []


async def test_an_answer_that_the_disk_refuses_is_kept_until_it_takes_it(
    house: SmallHouse,
) -> None:
    """A full disk makes no doubt of what was acknowledged."""
    house.wire.script.append(Say.SLOW)
    message = await house.post()
    house.database.refusing = True
    await house.clock.advance(3)
    assert await house.state(message) is S.SENDING
    house.database.refusing = False
    await house.clock.advance(1)
    assert await house.state(message) is S.SENT
    assert len(house.wire.sends) == 1


async def test_an_answer_after_somebody_settled_the_message_changes_nothing(
    house: SmallHouse,
) -> None:
    """A receipt, or a person, was quicker."""
    house.wire.script.append(Say.SLOW)
    message = await house.post()
    await house.execute("UPDATE messages SET state = 'failed' WHERE id = ?", message)
    await house.clock.advance(2)
    assert await house.state(message) is S.FAILED


async def test_a_cleared_message_that_nobody_can_read_stands_in_nobodys_way(
    house: SmallHouse,
) -> None:
    """Its contact's rows are broken: the others go, and it is tried again."""
    house.wire.up = False
    beto = await house.prospect("+5491145550002")
    broken = await house.post("+5491145550002", "¿Cómo va el presupuesto?")
    fine = await house.post()
    await house.execute(
        "INSERT INTO evidence (contact, at, kind, value, source) VALUES (?, 'x', 'y', 'z', 't')",
        beto,
    )
    house.wire.up = True
    house.outbox.session_ready("main")
    await house.clock.settle()
    assert (await house.state(fine), await house.state(broken)) == (S.SENT, S.CLEARED)
    await house.execute("DELETE FROM evidence WHERE kind = 'y'")
    await house.clock.advance(2)
    assert await house.state(broken) is S.SENT


async def test_the_daemon_goes_on_when_the_disk_does(house: SmallHouse) -> None:
    """Judge, clockwork and dispatch outlive a disk that refuses for a while."""
    house.wire.up = False
    message = await house.post()
    house.database.refusing = True
    house.wire.up = True
    house.outbox.session_ready("main")
    await house.clock.advance(20)
    assert await house.state(message) is S.CLEARED
    house.database.refusing = False
    await house.clock.advance(6)
    assert await house.state(message) is S.SENT


async def test_what_waited_for_a_session_is_not_forgotten_by_a_failed_write(
    house: SmallHouse,
) -> None:
    """The session came back while the disk refused: its messages are judged again all the same."""
    await house.execute("UPDATE sessions SET sending = 'none'")
    message = await house.post()
    assert await house.state(message) is S.DEFERRED
    await house.execute("UPDATE sessions SET sending = 'all'")
    house.database.refusing = True
    house.outbox.session_ready("main")
    await house.clock.advance(1)
    house.database.refusing = False
    await house.clock.advance(6)
    assert await house.state(message) is S.SENT
