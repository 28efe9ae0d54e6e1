"""The review queue: a person's word on one message, with a reason, for a day."""

from __future__ import annotations

import pytest

from daemon.api.permit import body_hash
from daemon.errors import BadRequest, Conflict, NotFound
from statemachines.message import MessageState
from storage import decisions
from tests.helpers.heart import ANA, BETO, SmallHouse

S = MessageState


async def held(house: SmallHouse, text: str = "Hola, Beto") -> str:
    """Return a message that waits for a person."""
    await house.prospect(BETO, permission="relationship")
    return await house.post(BETO, text)


async def test_an_approved_message_is_judged_again_and_goes(house: SmallHouse) -> None:
    """Held, queued, cleared, sent; the approval is in the audit with its reason."""
    message = await held(house)
    await house.review.approve(message, "eva", " an old client ")
    await house.clock.settle()
    assert (await house.path(message))[2:] == ["queued", "cleared", "sending", "sent"]
    assert await house.rows("SELECT who, action, subject, reason FROM audit") == [
        ("eva", "approve", message, "an old client")
    ]


async def test_a_rejected_message_never_goes(house: SmallHouse) -> None:
    """Blocked, with the person's reason."""
    message = await held(house)
    await house.review.reject(message, "eva", "wrong person")
    found = await house.message(message)
    assert (found.state, found.reason_code, found.sentence) == (
        S.BLOCKED,
        "rejected",
        "wrong person",
    )


async def test_an_approval_lifts_no_veto(house: SmallHouse) -> None:
    """They opted out meanwhile: an approved message is blocked like any other."""
    message = await held(house)
    await house.execute("UPDATE prospects SET validado_tecnicamente = 0")
    await house.review.approve(message, "eva", "I know him")
    await house.clock.settle()
    assert (await house.message(message)).reason_code == "not_valid"


async def test_an_approval_does_not_reach_the_block_band(house: SmallHouse) -> None:
    """A score below 50 needs better data, not a better mood."""
    message = await held(house)
    await house.execute("UPDATE prospects SET line_type = 'voip', data_date = NULL")
    await house.review.approve(message, "eva", "I know him")
    await house.clock.settle()
    assert (await house.message(message)).reason_code == "score_too_low"


async def test_an_approval_ends_after_a_day(house: SmallHouse) -> None:
    """The line was down meanwhile; a new look needs a new word."""
    message = await held(house)
    house.wire.up = False
    await house.review.approve(message, "eva", "an old client")
    await house.clock.settle()
    assert await house.state(message) is S.CLEARED
    await house.clock.leap(86_400)
    house.wire.up = True
    house.outbox.session_ready("main")
    await house.clock.settle()
    assert await house.state(message) is S.HELD
    assert house.wire.sends == []


@pytest.mark.parametrize(
    "other", [{"body_hash": body_hash("x")}, {"recipient": ANA}, {"channel": "manual"}]
)
async def test_an_approval_is_for_this_text_recipient_and_channel(
    house: SmallHouse, other: dict[str, str]
) -> None:
    """One that was given for something else lifts nothing."""
    message = await house.message(await held(house))
    about = {
        "message": message.id,
        "body_hash": message.body_hash,
        "recipient": message.recipient,
        "channel": message.channel,
    }
    await house.review.approve(message.id, "eva", "an old client")
    at = house.clock.now()
    right, wrong = await house.database.read(
        lambda reader: [
            decisions.is_approved(reader, **asked, at=at) for asked in (about, {**about, **other})
        ]
    )
    assert (right, wrong) == (True, False)


async def test_what_must_wait_and_be_looked_at_can_be_decided_early(house: SmallHouse) -> None:
    """At night it shows in the queue already; approved, it goes in the morning."""
    await house.clock.leap(8 * 3600)
    message = await held(house)
    assert await house.state(message) is S.DEFERRED
    assert [each.id for each in await house.review.list()] == [message]
    await house.review.approve(message, "eva", "an old client")
    assert await house.state(message) is S.DEFERRED
    await house.clock.leap(13.5 * 3600)
    await house.clock.advance(1)
    assert await house.state(message) is S.SENT


async def test_what_waits_only_for_its_time_is_not_in_the_queue(house: SmallHouse) -> None:
    """Nothing is asked of a person there, but it may be rejected early."""
    await house.clock.leap(8 * 3600)
    message = await house.post()
    assert await house.review.list() == []
    await house.review.reject(message, "eva", "not that one")
    assert await house.state(message) is S.BLOCKED


async def test_a_decision_needs_a_reason_and_a_message_that_waits(house: SmallHouse) -> None:
    """Each is refused with its own error."""
    message = await held(house)
    with pytest.raises(BadRequest):
        await house.review.approve(message, "eva", " ")
    with pytest.raises(NotFound):
        await house.review.reject("msg_0", "eva", "why not")
    await house.review.reject(message, "eva", "no")
    with pytest.raises(Conflict):
        await house.review.approve(message, "eva", "yes after all")
