"""Messages of a session that can't send: deferred with the reason, and judged anew after it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.api import hookimpl
from daemon.gate.gate import EvaluationPhase
from daemon.outbox.forecast import WAIT_SENTENCES
from daemon.sessions.repository import SessionRepository
from daemon.sessions.status import BLOCK_SENTENCES, describe_block
from statemachines.message import MessageState
from statemachines.prospect import ValidationState
from statemachines.session import (
    BLOCKING_STATES,
    MANUAL_BLOCKS,
    ConnectionState,
    PhoneState,
    SendingState,
)
from statemachines.vocabulary import BlockedBy
from storage import session_queue, sessions
from storage.messages import MessageRecord
from tests.helpers.services.messaging import (
    BETO,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

S = MessageState
MINUTE = timedelta(minutes=1)
NIGHT = 9 * 3600
"""Seconds from the clock's midday to a time outside business hours."""
TRANSIENT = sorted(set(ConnectionState) - set(BLOCKING_STATES))


async def change_session(
    services: MessagingServices, name: str = "main", **columns: object
) -> None:
    """Store a change of a session as the session itself does: in one transaction with all of it."""
    before = await services.database.read(lambda reader: sessions.get_session(reader, name))
    assert before is not None
    after = replace(before, **columns)
    await SessionRepository(before, services.database).save(after, services.clock.now())


async def assert_waits_for_session(
    services: MessagingServices, message: str, block: BlockedBy
) -> MessageRecord:
    """Check that a message waits for its session, and says why and what to do."""
    found = await services.get_message(message)
    assert (found.state, found.waits_for, found.blocked_by) == (S.DEFERRED, "session", block)
    assert (found.reason_code, found.due_at) == (block, None)
    assert found.sentence == describe_block(block, found.session)
    return found


@pytest.fixture
async def cleared(services: MessagingServices) -> str:
    """A first message that the gate allowed, and that is not to go before a minute has passed."""
    message = await services.enqueue_and_settle(not_before=services.clock.now() + MINUTE)
    assert await services.get_state(message) is S.CLEARED
    return message


@pytest.mark.parametrize(("state", "block"), BLOCKING_STATES.items())
async def test_what_was_allowed_is_deferred_with_its_session(
    services: MessagingServices, cleared: str, state: ConnectionState, block: BlockedBy
) -> None:
    """In the session's own transaction: nothing is ever allowed that nobody can send."""
    await change_session(services, connection=state)
    await assert_waits_for_session(services, cleared, block)


@pytest.mark.parametrize("state", TRANSIENT)
async def test_a_state_that_ends_by_itself_keeps_what_was_allowed(
    services: MessagingServices, cleared: str, state: ConnectionState
) -> None:
    """A line that is down for a moment changes nothing about a message."""
    await change_session(services, connection=state)
    await services.clock.settle()
    assert await services.get_state(cleared) is S.CLEARED


@pytest.mark.parametrize(("state", "block"), BLOCKING_STATES.items())
async def test_what_is_asked_of_such_a_session_is_deferred_by_the_gate(
    services: MessagingServices, state: ConnectionState, block: BlockedBy
) -> None:
    """The decision says so too: no verdict is `allow` where nobody can send."""
    await change_session(services, connection=state)
    message = await services.enqueue_and_settle()
    await assert_waits_for_session(services, message, block)
    [decision] = await services.list_decisions(message)
    assert (decision.verdict, decision.document["reason_code"]) == ("defer", block)
    assert decision.facts["session.blocked_by"] == block


async def test_it_goes_once_the_session_can_send(services: MessagingServices, cleared: str) -> None:
    """Judged anew at the change itself; what it waited for is over."""
    await change_session(services, connection=ConnectionState.STOPPED)
    await change_session(services, connection=ConnectionState.STARTING)
    await services.clock.settle()
    assert (await services.list_states(cleared))[-2:] == ["queued", "cleared"]
    await change_session(services, connection=ConnectionState.READY)
    await services.clock.advance(60)
    found = await services.get_message(cleared)
    assert (found.state, found.waits_for, found.blocked_by) == (S.SENT, None, None)


async def test_another_reason_is_told_as_soon_as_it_is_one(
    services: MessagingServices, cleared: str
) -> None:
    """From stopped to a code that nobody scans: the sentence is that of the present state."""
    await change_session(services, connection=ConnectionState.STOPPED)
    await change_session(services, connection=ConnectionState.AWAITING_SCAN)
    await services.clock.settle()
    await assert_waits_for_session(services, cleared, BlockedBy.SESSION_UNLINKED)
    await change_session(services, connection=ConnectionState.QR_EXPIRED)
    await services.clock.settle()
    await assert_waits_for_session(services, cleared, BlockedBy.SESSION_QR_EXPIRED)


async def test_a_phone_that_a_person_unlinked_is_not_merely_stopped(
    services: MessagingServices, cleared: str
) -> None:
    """Starting it would not be enough; it had a number, and needs a new code."""
    unlinked = {"connection": ConnectionState.STOPPED, "phone_state": PhoneState.UNLINKED}
    await change_session(services, **unlinked)
    await assert_waits_for_session(services, cleared, BlockedBy.SESSION_UNLINKED)


async def test_what_waits_for_the_morning_says_that_its_session_is_stopped(
    services: MessagingServices,
) -> None:
    """A person learns in the evening what would stop everything in the morning."""
    await services.clock.leap(NIGHT)
    message = await services.enqueue_and_settle()
    due = (await services.get_message(message)).due_at
    assert due is not None
    await change_session(services, connection=ConnectionState.LOGGED_OUT)
    await services.clock.settle()
    await assert_waits_for_session(services, message, BlockedBy.SESSION_LOGGED_OUT)
    await change_session(services, connection=ConnectionState.READY)
    await services.clock.settle()
    found = await services.get_message(message)
    assert (found.state, found.waits_for, found.due_at) == (S.DEFERRED, None, due)


async def test_a_check_and_a_person_are_waited_for_first(services: MessagingServices) -> None:
    """Another phone may check the number, and a person may decide, with this one off."""
    await services.add_prospect(BETO, on_whatsapp="unknown", validation=ValidationState.UNCHECKED)
    await change_session(services, connection=ConnectionState.STOPPED)
    unchecked = await services.get_message(await services.enqueue_and_settle(BETO))
    assert (unchecked.waits_for, unchecked.blocked_by) == ("checked", "no_phone_checks")
    customer = build_phone(1)
    await services.add_prospect(customer, permission="relationship")
    assert await services.get_state(await services.enqueue_and_settle(customer)) is S.HELD


async def test_by_hand_a_stopped_session_stops_nobody_but_a_ban_does(
    services: MessagingServices,
) -> None:
    """Sending by hand needs no connection; the number must be in good standing."""
    await services.add_prospect(BETO, permission="public_source")
    message = await services.enqueue_and_settle(BETO)
    assert (await services.get_message(message)).channel == "manual"
    for state, block in sorted(BLOCKING_STATES.items(), key=lambda pair: pair[1] in MANUAL_BLOCKS):
        await change_session(services, connection=state)
        await services.clock.settle()
        if block in MANUAL_BLOCKS:
            await assert_waits_for_session(services, message, block)
        else:
            assert await services.get_state(message) is S.CLEARED, state


async def test_a_number_that_was_banned_is_not_written_from_by_hand(
    services: MessagingServices,
) -> None:
    """Also by another session of the number; the message says what is left to do."""
    await services.add_prospect(BETO, permission="public_source")
    message = await services.enqueue_and_settle(BETO)
    await services.execute_sql("UPDATE numbers SET banned_at = '2026-01-01T00:00:00.000Z'")
    await services.clock.advance(6)
    await assert_waits_for_session(services, message, BlockedBy.NUMBER_BANNED)


async def test_where_replies_go_first_contacts_wait_and_are_judged_once_new_chats_open(
    services: MessagingServices, cleared: str
) -> None:
    """The connection never changed, so no readiness is waited for."""
    await change_session(services, sending=SendingState.REPLY_ONLY)
    await assert_waits_for_session(services, cleared, BlockedBy.SESSION_REPLY_ONLY)
    late = await services.enqueue_and_settle(
        text="Hola otra vez, Ana", not_before=services.clock.now() + 2 * MINUTE
    )
    await assert_waits_for_session(services, late, BlockedBy.SESSION_REPLY_ONLY)
    await change_session(services, sending=SendingState.ALL)
    await services.clock.advance(60)
    assert await services.get_state(cleared) is S.SENT


class FailingPlugin:
    """A plugin that can't be asked."""

    @hookimpl
    async def leadmaster_judge_message(self) -> None:
        """Raise."""
        raise RuntimeError


async def test_a_fault_of_the_gate_keeps_its_pauses(tmp_path: Path) -> None:
    """Five tries in a row would hold at once what a later try could judge."""
    async with open_messaging_services(tmp_path, plugins={"fails": FailingPlugin()}) as services:
        await services.add_session()
        await services.add_prospect()
        message = await services.enqueue_and_settle()
        await change_session(services, connection=ConnectionState.STOPPED)
        await services.clock.advance(30)
        found = await services.get_message(message)
        assert (found.reason_code, found.faults, found.blocked_by) == ("gate_fault", 1, None)


async def test_a_daemon_that_was_stopped_in_between_puts_it_right(
    services: MessagingServices, cleared: str
) -> None:
    """Rows that were changed behind its back: the timer looks at every session."""
    await services.execute_sql("UPDATE sessions SET connection = 'failed'")
    await services.clock.advance(6)
    await assert_waits_for_session(services, cleared, BlockedBy.SESSION_FAILED)


async def test_a_session_that_is_gone_leaves_no_message_hanging(
    services: MessagingServices, cleared: str
) -> None:
    """The sentence says to cancel it and to write it again."""
    at = services.clock.now()
    await services.database.write(lambda tx: sessions.mark_session_deleted(tx, "main", at))
    await services.clock.advance(6)
    found = await assert_waits_for_session(services, cleared, BlockedBy.SESSION_DELETED)
    assert "leadmaster queue cancel" in found.sentence


async def test_an_evaluation_of_a_session_that_changed_meanwhile_is_not_stored(
    services: MessagingServices, cleared: str
) -> None:
    """The gate looked before the phone was unlinked: what it saw holds no longer."""
    message = await services.get_message(cleared)
    seen = await services.gate.evaluate(message, EvaluationPhase.RELEASE)
    unlinked = {"phone_state": PhoneState.UNLINKED, "connection": ConnectionState.STOPPED}
    await services.execute_sql("UPDATE sessions SET connection = 'stopped'")
    looked = await services.gate.evaluate(message, EvaluationPhase.RELEASE)
    assert (seen.is_allowed, looked.is_allowed) == (True, False)
    await change_session(services, **unlinked)
    assert await services.evaluator.store_evaluation(looked) is None


async def test_messages_are_counted_by_session_and_reason(
    services: MessagingServices, cleared: str
) -> None:
    """For /ready, for the status and for Today."""
    assert cleared
    await change_session(services, connection=ConnectionState.STOPPED)
    await services.add_session("other", number="+5491144440009")
    await change_session(services, "other", connection=ConnectionState.REPLACED)
    await services.clock.advance(60)
    for number in range(2):
        await services.add_prospect(build_phone(number))
        await services.enqueue_and_settle(build_phone(number), session="other")
    counted = await services.database.read(session_queue.list_blocked_counts)
    assert [(each.session, each.blocked_by, each.messages) for each in counted] == [
        ("other", BlockedBy.SESSION_REPLACED, 2),
        ("main", BlockedBy.SESSION_STOPPED, 1),
    ]
    assert counted[0].since - counted[1].since >= timedelta(seconds=60)


def test_every_reason_names_the_session_and_what_to_do() -> None:
    """A word without a sentence would leave a person alone with it."""
    assert BLOCK_SENTENCES.keys() == set(BlockedBy)
    for block in BlockedBy:
        cause, *remedy = describe_block(block, "ventas").split(". ")
        assert "ventas" in cause
        assert remedy
    assert WAIT_SENTENCES["session"]
