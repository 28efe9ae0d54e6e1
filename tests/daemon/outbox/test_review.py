"""The review queue: a person's word on one message, with a reason, for a day."""

from __future__ import annotations

import pytest

from daemon.api.permit import hash_body
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.message import MessageState
from storage import decisions
from tests.helpers.services.messaging import ANA, BETO, MessagingServices

S = MessageState


async def held(services: MessagingServices, text: str = "Hola, Beto") -> str:
    """Return a message that waits for a person."""
    await services.add_prospect(BETO, permission="relationship")
    return await services.enqueue_and_settle(BETO, text)


async def test_an_approved_message_is_judged_again_and_goes(services: MessagingServices) -> None:
    """Held, queued, cleared, sent; the approval is in the audit with its reason."""
    message = await held(services)
    await services.review.approve(message, "eva", " an old client ")
    await services.clock.settle()
    assert (await services.list_states(message))[2:] == ["queued", "cleared", "sending", "sent"]
    assert await services.query_rows(
        "SELECT who, action, subject, reason FROM audit WHERE who <> 'daemon'"
    ) == [("eva", "approve", message, "an old client")]


async def test_a_rejected_message_never_goes(services: MessagingServices) -> None:
    """Blocked, with the person's reason."""
    message = await held(services)
    await services.review.reject(message, "eva", "wrong person")
    found = await services.get_message(message)
    assert (found.state, found.reason_code, found.sentence) == (
        S.BLOCKED,
        "rejected",
        "wrong person",
    )


async def test_an_approval_lifts_no_veto(services: MessagingServices) -> None:
    """They opted out meanwhile: an approved message is blocked like any other."""
    message = await held(services)
    await services.execute_sql("UPDATE prospects SET validado_tecnicamente = 0")
    await services.review.approve(message, "eva", "I know him")
    await services.clock.settle()
    assert (await services.get_message(message)).reason_code == "not_valid"


async def test_an_approval_does_not_reach_the_block_band(services: MessagingServices) -> None:
    """A score below 50 needs better data, not a better mood."""
    message = await held(services)
    await services.execute_sql("UPDATE prospects SET line_type = 'voip', data_date = NULL")
    await services.review.approve(message, "eva", "I know him")
    await services.clock.settle()
    assert (await services.get_message(message)).reason_code == "score_too_low"


async def test_an_approval_ends_after_a_day(services: MessagingServices) -> None:
    """The line was down meanwhile; a new look needs a new word."""
    message = await held(services)
    await services.bring_line_down()
    await services.review.approve(message, "eva", "an old client")
    await services.clock.settle()
    assert await services.get_state(message) is S.CLEARED
    await services.clock.leap(86_400)
    await services.bring_line_up()
    await services.clock.settle()
    assert await services.get_state(message) is S.HELD
    assert services.wire.sends == []


@pytest.mark.parametrize(
    "other", [{"body_hash": hash_body("x")}, {"recipient": ANA}, {"channel": "manual"}]
)
async def test_an_approval_is_for_this_text_recipient_and_channel(
    services: MessagingServices, other: dict[str, str]
) -> None:
    """One that was given for something else lifts nothing."""
    message = await services.get_message(await held(services))
    about = {
        "message": message.id,
        "body_hash": message.body_hash,
        "recipient": message.recipient,
        "channel": message.channel,
    }
    await services.review.approve(message.id, "eva", "an old client")
    at = services.clock.now()
    right, wrong = await services.database.read(
        lambda reader: [
            decisions.is_message_approved(reader, **asked, at=at)
            for asked in (about, {**about, **other})
        ]
    )
    assert (right, wrong) == (True, False)


async def test_what_must_wait_and_be_looked_at_can_be_decided_early(
    services: MessagingServices,
) -> None:
    """At night it shows in the queue already; approved, it goes in the morning."""
    await services.clock.leap(8 * 3600)
    message = await held(services)
    assert await services.get_state(message) is S.DEFERRED
    assert [each.id for each in await services.review.list_messages()] == [message]
    await services.review.approve(message, "eva", "an old client")
    assert await services.get_state(message) is S.DEFERRED
    await services.clock.leap(13.5 * 3600)
    await services.clock.advance(1)
    assert await services.get_state(message) is S.SENT


async def test_what_waits_only_for_its_time_is_not_in_the_queue(
    services: MessagingServices,
) -> None:
    """Nothing is asked of a person there, but it may be rejected early."""
    await services.clock.leap(8 * 3600)
    message = await services.enqueue_and_settle()
    assert await services.review.list_messages() == []
    await services.review.reject(message, "eva", "not that one")
    assert await services.get_state(message) is S.BLOCKED


async def test_a_decision_needs_a_reason_and_a_message_that_waits(
    services: MessagingServices,
) -> None:
    """Each is refused with its own error."""
    message = await held(services)
    with pytest.raises(BadRequest):
        await services.review.approve(message, "eva", " ")
    with pytest.raises(NotFound):
        await services.review.reject("msg_0", "eva", "why not")
    await services.review.reject(message, "eva", "no")
    with pytest.raises(Conflict):
        await services.review.approve(message, "eva", "yes after all")
