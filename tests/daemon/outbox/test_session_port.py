"""What becomes of a message whose session changes after the commit, before the wire."""

from __future__ import annotations

import asyncio

from daemon.api.signals import Disconnected, SendingRestricted
from statemachines.message import MessageState
from statemachines.vocabulary import BlockedBy
from storage import halts
from storage.events import CommittedEvent
from storage.messages import MessageRecord
from tests.helpers.services.messaging import ANA, OUR_NUMBER, MessagingServices

S = MessageState


def is_on_its_way(event: CommittedEvent) -> bool:
    """Tell whether a message was just committed to the wire."""
    return event.type == "message.changed" and event.data["state"] == S.SENDING


def close_new_chats_before_the_wire(services: MessagingServices) -> None:
    """Let the platform close new chats, and the session store it, right before the last look."""
    stored = asyncio.Event()

    def hear_restriction(event: CommittedEvent) -> None:
        if event.data.get("sending") == "reply_only":
            stored.set()

    async def close_new_chats(query: object) -> None:
        if query is halts.get_current_halt:
            services.database.before_read = None
            services.wire.lines["main"].report(SendingRestricted("restricted"))
            await stored.wait()

    services.reactions.append(hear_restriction)
    services.database.before_read = close_new_chats


async def assert_nothing_left(
    services: MessagingServices, message: str, block: BlockedBy | None
) -> MessageRecord:
    """Check that a message was not sent, spent nothing, and waits for its session."""
    found = await services.get_message(message)
    assert (found.state, found.waits_for, found.attempts) == (S.DEFERRED, "session", 0)
    assert found.blocked_by == block
    assert services.wire.sends == []
    assert await services.query_rows("SELECT * FROM spends") == []
    return found


async def test_a_first_contact_whose_session_may_only_reply_by_now_is_not_sent(
    services: MessagingServices,
) -> None:
    """It waits for its session, as if it had been looked at a moment later."""
    close_new_chats_before_the_wire(services)
    message = await services.enqueue_and_settle()
    await services.clock.advance(5)
    await assert_nothing_left(services, message, BlockedBy.SESSION_REPLY_ONLY)
    await services.reopen_session()
    await services.breaker.resume(OUR_NUMBER, "eva", "it was a mistake of theirs")
    await services.clock.advance(5)
    assert await services.get_state(message) is S.SENT


async def test_a_reply_goes_through_a_session_that_may_only_reply_by_now(
    services: MessagingServices,
) -> None:
    """They wrote first: a limit on new chats is none on the answer."""
    await services.add_inbound(await services.resolve_contact(ANA))
    close_new_chats_before_the_wire(services)
    message = await services.enqueue_and_settle()
    assert services.sessions.view("main").sending == "reply_only"
    assert await services.get_state(message) is S.SENT


async def test_a_line_that_breaks_before_the_wire_costs_no_attempt(
    services: MessagingServices,
) -> None:
    """It waits for the session and goes with the next connection."""

    def break_line(event: CommittedEvent) -> None:
        if is_on_its_way(event):
            services.reactions.clear()
            services.wire.lines["main"].report(Disconnected())

    services.reactions.append(break_line)
    message = await services.enqueue_and_settle()
    await assert_nothing_left(services, message, None)
    await services.clock.advance(10)
    assert await services.get_state(message) is S.SENT


async def test_a_session_that_is_deleted_before_the_wire_leaves_no_doubt(
    services: MessagingServices,
) -> None:
    """It certainly did not leave: a person cancels it and writes it from another session."""

    async def delete_session(query: object) -> None:
        if query is halts.get_current_halt:
            services.database.before_read = None
            await services.sessions.delete("main", "eva")

    services.database.before_read = delete_session
    message = await services.enqueue_and_settle()
    await services.clock.advance(6)
    await assert_nothing_left(services, message, BlockedBy.SESSION_DELETED)
