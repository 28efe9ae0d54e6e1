"""What a platform says when it refuses a message: when to try again, and in which words."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from daemon.api.transport import Refused
from daemon.outbox.sender import apply_send_result
from statemachines.message import MessageState
from storage.messages import MessageRecord
from tests.helpers.puppet_channel import ScriptedSendResult
from tests.helpers.services.messaging import MessagingServices

LIMITED = Refused(
    "pair_limit",
    "Too many messages to one person.",
    retryable=True,
    code=131056,
    detail="pair rate limit hit",
    retry_after=timedelta(minutes=20),
)


async def refuse(
    services: MessagingServices, refusal: Refused, not_after: datetime | None = None
) -> MessageRecord:
    """Let the wire refuse a message that is on its way, and return the message."""
    services.wire.results.append(ScriptedSendResult.SILENCE)
    sending, at = (
        await services.get_message(await services.enqueue_and_settle()),
        services.clock.now(),
    )
    sending = replace(sending, not_after=not_after or sending.not_after)
    return await services.database.write(
        lambda tx: apply_send_result(tx, sending, refusal, at, services.settings.sending)
    )


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        (timedelta(minutes=20), timedelta(minutes=20)),
        (timedelta(seconds=1), timedelta(seconds=1)),
        (timedelta(days=3), timedelta(days=1)),
        (timedelta.max, timedelta(days=1)),
    ],
)
async def test_the_platform_says_when_to_try_again(
    services: MessagingServices, retry_after: timedelta, waits: timedelta
) -> None:
    """Within the longest wait that the settings allow."""
    refusal = Refused("busy", "Not now.", retryable=True, retry_after=retry_after)
    message = await refuse(services, refusal)
    assert (message.state, message.attempts) == (MessageState.DEFERRED, 1)
    assert message.due_at == services.clock.now() + waits


async def test_a_wait_ends_when_the_message_does(services: MessagingServices) -> None:
    """It expires then, and is not forgotten until the platform's hour."""
    soon = services.clock.now() + timedelta(minutes=5)
    assert (await refuse(services, LIMITED, not_after=soon)).due_at == soon


async def test_a_refusal_for_good_is_not_tried_again_whatever_it_says(
    services: MessagingServices,
) -> None:
    """How long to wait is said of what may be tried again."""
    refusal = Refused("gone", "No such number.", retry_after=timedelta(minutes=1))
    assert (await refuse(services, refusal)).state is MessageState.FAILED


async def test_the_platforms_own_words_stand_where_the_refusal_is_shown(
    services: MessagingServices,
) -> None:
    """In the message, its history and its event: code and detail, as far as there are any."""
    message = await refuse(services, LIMITED)
    told = "Too many messages to one person. The platform's own words: 131056, pair rate limit hit"
    assert (message.reason_code, message.sentence) == ("pair_limit", told)
    history = await services.query_rows(
        "SELECT sentence FROM message_history WHERE message = ? AND state = 'deferred'", message.id
    )
    assert history == [(told,)]
