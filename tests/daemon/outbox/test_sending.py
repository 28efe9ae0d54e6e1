"""From the wire's answer to a message's state: only an acknowledgement makes it `sent`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.outbox.sender import compute_retry_wait
from statemachines.message import MessageState
from storage import receipts
from storage.receipts import ReceiptRecord
from storage.spends import SpendKind
from tests.helpers.clock import FakeClock
from tests.helpers.puppet_channel import PuppetChannel, ScriptedSendResult
from tests.helpers.services.messaging import ANA, MessagingServices, open_messaging_services

S = MessageState


async def spent(services: MessagingServices, kind: SpendKind = SpendKind.MESSAGE) -> int:
    """Count the ledger."""
    return len(await services.query_rows("SELECT 1 FROM spends WHERE kind = ?", kind))


async def test_an_acknowledged_message_is_sent_under_the_servers_id(
    services: MessagingServices,
) -> None:
    """The happy path: queued, cleared, sending, sent, with the id stored."""
    message = await services.enqueue_and_settle()
    assert await services.list_states(message) == ["queued", "cleared", "sending", "sent"]
    assert (await services.get_message(message)).wire_id == "wire-1"


async def test_a_certain_refusal_fails_the_message_and_gives_its_budget_back(
    services: MessagingServices,
) -> None:
    """It did not leave, so it spent nothing."""
    services.wire.results.append(ScriptedSendResult.REFUSE)
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.FAILED
    assert (await services.get_message(message)).reason_code == "refused"
    assert await spent(services) == 0


async def test_a_retryable_refusal_waits_longer_each_time_and_fails_after_five_retries(
    services: MessagingServices,
) -> None:
    """Six attempts in all, each after twice the wait, give or take the jitter."""
    services.wire.default_result = ScriptedSendResult.RETRY
    message = await services.enqueue_and_settle()
    for attempt in range(1, 6):
        found = await services.get_message(message)
        assert (found.state, found.attempts) == (S.DEFERRED, attempt)
        assert found.due_at == found.changed_at + (
            timedelta(
                milliseconds=compute_retry_wait(message, attempt) // timedelta(milliseconds=1)
            )
        )
        await services.clock.advance(30 * 2 ** (attempt - 1))
    assert await services.get_state(message) is S.FAILED
    assert len(services.wire.sends) == 6
    assert await spent(services) == 0


def test_the_wait_doubles_within_its_jitter_up_to_an_hour() -> None:
    """Half to whole of 30 s, 60 s, 120 s …; the same at each asking."""
    for attempt in range(1, 12):
        base = min(3600, 30 * 2 ** (attempt - 1))
        wait = compute_retry_wait("msg_1", attempt).total_seconds()
        assert base / 2 <= wait <= base
        assert compute_retry_wait("msg_1", attempt).total_seconds() == wait


async def test_silence_for_90_seconds_is_a_doubt_and_never_a_second_send(
    services: MessagingServices,
) -> None:
    """Nobody knows whether it left; asking again could send it twice."""
    services.wire.results.append(ScriptedSendResult.SILENCE)
    message = await services.enqueue_and_settle()
    await services.clock.advance(89)
    assert await services.get_state(message) is S.SENDING
    await services.clock.advance(1)
    assert await services.get_state(message) is S.IN_DOUBT
    assert (await services.get_message(message)).reason_code == "no_answer"
    await services.clock.leap(86_400)
    assert await services.get_state(message) is S.IN_DOUBT
    assert len(services.wire.sends) == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (ScriptedSendResult.UNKNOWN, "line_lost"),
        (ScriptedSendResult.RAISE, "transport_failed"),
        (ScriptedSendResult.CANCELLED, "line_closed"),
        (ScriptedSendResult.NONSENSE, "answer_unusable"),
        (ScriptedSendResult.NO_ID, "acknowledgement_unusable"),
    ],
)
async def test_an_answer_that_tells_nothing_leaves_a_doubt_and_the_next_message_goes(
    services: MessagingServices, said: ScriptedSendResult, code: str
) -> None:
    """No broken transport may make a message `sent`, or stop the session's sending."""
    services.wire.results.append(said)
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).reason_code == code
    assert await services.get_state(message) is S.IN_DOUBT
    assert await spent(services) == 1
    await services.add_prospect("+5491145550002")
    assert (
        await services.get_state(
            await services.enqueue_and_settle("+5491145550002", "¿Cómo va el presupuesto?")
        )
        is S.SENT
    )


async def test_an_id_that_was_given_before_acknowledges_nothing(
    services: MessagingServices,
) -> None:
    """Two messages can't be the same one on the server."""
    services.wire.default_result = ScriptedSendResult.SAME_ID
    first = await services.enqueue_and_settle()
    await services.add_prospect("+5491145550002")
    second = await services.enqueue_and_settle("+5491145550002", "¿Cómo va el presupuesto?")
    assert await services.get_state(first) is S.SENT
    assert await services.get_state(second) is S.IN_DOUBT


async def test_a_receipt_that_came_before_the_acknowledgement_is_applied_after_it(
    services: MessagingServices,
) -> None:
    """The wire overtakes itself; nothing of it is lost."""
    early = ReceiptRecord(session="main", wire_id="wire-1", kind="read", at=services.clock.now())
    await services.database.write(
        lambda tx: receipts.store_receipt(tx, early, services.clock.now())
    )
    assert (await services.list_states(await services.enqueue_and_settle()))[-2:] == [
        "sent",
        "read",
    ]


async def test_a_receipt_that_came_before_the_doubt_settles_it(services: MessagingServices) -> None:
    """It arrived while we waited for an answer, and nobody typed it: so it went out."""
    services.wire.results.append(ScriptedSendResult.SILENCE)
    message = await services.enqueue_and_settle()
    contact = (await services.get_message(message)).contact
    early = ReceiptRecord(
        session="main", wire_id="W", kind="delivered", at=services.clock.now(), contact=contact
    )
    await services.database.write(
        lambda tx: receipts.store_receipt(tx, early, services.clock.now())
    )
    await services.clock.advance(95)
    assert (await services.list_states(message))[-3:] == ["in_doubt", "sent", "delivered"]
    assert (await services.get_message(message)).wire_id == "W"


async def test_a_crash_while_sending_leaves_a_doubt_and_nothing_goes_twice(tmp_path: Path) -> None:
    """After a restart nobody knows what left, so it is not sent again."""
    clock = FakeClock()
    wire = PuppetChannel(clock, default_result=ScriptedSendResult.SILENCE)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        assert await services.get_state(message) is S.SENDING
    wire.default_result = ScriptedSendResult.ACK
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await clock.advance(3600)
        assert await services.get_state(message) is S.IN_DOUBT
    assert len(wire.sends) == 1


async def test_a_receipt_from_before_the_crash_settles_the_doubt_after_it(tmp_path: Path) -> None:
    """What is stored speaks for itself when the daemon is back."""
    clock = FakeClock()
    wire = PuppetChannel(clock, default_result=ScriptedSendResult.SILENCE)
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await services.add_session()
        contact = await services.add_prospect()
        message = await services.enqueue_and_settle()
        early = ReceiptRecord(
            session="main", wire_id="W", kind="delivered", at=clock.now(), contact=contact
        )
        await services.database.write(lambda tx: receipts.store_receipt(tx, early, clock.now()))
    async with open_messaging_services(tmp_path, clock=clock, wire=wire) as services:
        await clock.settle()
        assert await services.get_state(message) is S.IN_DOUBT  # it may be of what was typed
        await clock.advance(30)
        assert await services.get_state(message) is S.DELIVERED


async def test_a_stop_awaits_what_is_on_the_wire(tmp_path: Path) -> None:
    """A drain lets the answer come, and begins nothing new."""
    clock = FakeClock()
    async with open_messaging_services(tmp_path, clock=clock) as services:
        await services.add_session()
        await services.add_prospect()
        services.wire.results.append(ScriptedSendResult.SLOW)
        message = await services.enqueue_and_settle()
        stopping = asyncio.create_task(services.outbox.stop(10))
        await clock.advance(2)
        await stopping
        assert await services.get_state(message) is S.SENT


async def test_the_gates_word_is_stored_with_every_send(services: MessagingServices) -> None:
    """One `allow` for exactly this text and recipient, one redeemed permit, both on the row."""
    message = await services.get_message(await services.enqueue_and_settle())
    enqueue, release = await services.list_decisions(message.id)
    assert (enqueue.phase, release.phase) == ("enqueue", "release")
    assert (release.verdict, release.recipient) == ("allow", ANA)
    assert (release.id, release.body_hash) == (message.decision, message.body_hash)
    assert await services.query_rows("SELECT id, message, decision FROM permits") == [
        (message.permit, message.id, release.id)
    ]


async def test_a_forged_permit_is_a_certain_refusal(services: MessagingServices) -> None:
    """The wire knows another gate's key: nothing leaves, and the message says why."""
    services.wire.trust_another_key()
    message = await services.enqueue_and_settle()
    assert (await services.get_message(message)).reason_code == "permit_forged"
    assert await services.get_state(message) is S.FAILED
    assert services.wire.sends == []


async def test_an_answer_that_the_disk_refuses_is_kept_until_it_takes_it(
    services: MessagingServices,
) -> None:
    """A full disk makes no doubt of what was acknowledged."""
    services.wire.results.append(ScriptedSendResult.SLOW)
    message = await services.enqueue_and_settle()
    services.database.refuses = True
    await services.clock.advance(3)
    assert await services.get_state(message) is S.SENDING
    services.database.refuses = False
    await services.clock.advance(1)
    assert await services.get_state(message) is S.SENT
    assert len(services.wire.sends) == 1


async def test_an_answer_after_somebody_settled_the_message_changes_nothing(
    services: MessagingServices,
) -> None:
    """A receipt, or a person, was quicker."""
    services.wire.results.append(ScriptedSendResult.SLOW)
    message = await services.enqueue_and_settle()
    await services.execute_sql("UPDATE messages SET state = 'failed' WHERE id = ?", message)
    await services.clock.advance(2)
    assert await services.get_state(message) is S.FAILED


async def test_a_cleared_message_that_nobody_can_read_stands_in_nobodys_way(
    services: MessagingServices,
) -> None:
    """Its contact's rows are broken: the others go, and it is tried again."""
    await services.bring_line_down()
    beto = await services.add_prospect("+5491145550002")
    broken = await services.enqueue_and_settle("+5491145550002", "¿Cómo va el presupuesto?")
    fine = await services.enqueue_and_settle()
    await services.execute_sql(
        "INSERT INTO evidence (contact, at, kind, value, source) VALUES (?, 'x', 'y', 'z', 't')",
        beto,
    )
    await services.bring_line_up()
    await services.clock.settle()
    assert (await services.get_state(fine), await services.get_state(broken)) == (S.SENT, S.CLEARED)
    await services.execute_sql("DELETE FROM evidence WHERE kind = 'y'")
    await services.clock.advance(2)
    assert await services.get_state(broken) is S.SENT


async def test_the_daemon_goes_on_when_the_disk_does(services: MessagingServices) -> None:
    """Judge, clockwork and dispatch outlive a disk that refuses for a while."""
    await services.bring_line_down()
    message = await services.enqueue_and_settle()
    await services.bring_line_up()
    services.database.refuses = True
    await services.clock.advance(20)
    assert await services.get_state(message) is S.CLEARED
    services.database.refuses = False
    await services.clock.advance(6)
    assert await services.get_state(message) is S.SENT


async def test_what_waited_for_a_session_is_not_forgotten_by_a_failed_write(
    services: MessagingServices,
) -> None:
    """The session came back while the disk refused: its messages are judged again all the same."""
    await services.update_session(sending="none")
    message = await services.enqueue_and_settle()
    assert await services.get_state(message) is S.DEFERRED
    await services.update_session(sending="all")
    services.database.refuses = True
    await services.clock.advance(1)
    services.database.refuses = False
    await services.clock.advance(6)
    assert await services.get_state(message) is S.SENT
