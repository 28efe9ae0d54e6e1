"""A test message: to one's own number alone, by hand, and through the gate like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.auth.identity import Role
from daemon.campaigns.audience import list_audience
from daemon.errors import Conflict
from statemachines.message import MessageState
from storage.messages import TEST_MESSAGE, require_message
from tests.helpers.services.campaigns import WHO, add_first_contact_text, add_people
from tests.helpers.services.messaging import (
    OUR_NUMBER,
    MessagingServices,
    build_phone,
    open_messaging_services,
)

OWN = "+5491145551234"


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[MessagingServices]:
    """A house with one number, one prospect, and a user with a number of their own."""
    async with open_messaging_services(tmp_path) as opened:
        await opened.add_session()
        await add_people(opened, 1)
        await opened.auth.users.create_user(WHO, Role.OPERATOR, "root")
        await opened.auth.users.set_phone(WHO, OWN, "root")
        yield opened


async def test_a_test_message_waits_to_be_sent_by_hand_to_ones_own_number(
    services: MessagingServices,
) -> None:
    """It reads as a real person gets it, is marked, and its person is no audience of anything."""
    text = await add_first_contact_text(services)
    made = await services.test_messages.send(text, 1, WHO)
    await services.clock.settle()
    stored = await services.database.read(lambda reader: require_message(reader, made.id))
    assert (stored.recipient, stored.channel, stored.campaign) == (OWN, "manual", TEST_MESSAGE)
    assert (stored.state, stored.template) == (MessageState.CLEARED, f"{text}@1")
    assert stored.text.startswith("Hola Persona1, ¿hablamos?")
    now = services.clock.now()
    found = await services.database.read(lambda reader: list_audience(reader, {}, now, "AR"))
    assert [each.prospect.phone for each in found] == [build_phone(1)]
    with pytest.raises(Conflict, match="The same text already went"):
        await services.test_messages.send(text, 1, WHO)
    assert await services.query_rows("SELECT count(*) FROM messages") == [(1,)]


async def test_what_is_missing_or_in_the_way_is_a_sentence(services: MessagingServices) -> None:
    """No number, the number that would write, an opt-out: nothing is queued."""
    text = await add_first_contact_text(services)
    with pytest.raises(Conflict, match="no number of your own"):
        await services.test_messages.send(text, 1, "somebody")
    await services.auth.users.set_phone(WHO, OUR_NUMBER, "root")
    with pytest.raises(Conflict, match="sends nothing to itself"):
        await services.test_messages.send(text, 1, WHO)
    await services.auth.users.set_phone(WHO, OWN, "root")
    await services.suppress(OWN)
    with pytest.raises(Conflict, match="opt-out list"):
        await services.test_messages.send(text, 1, WHO)
    assert await services.query_rows("SELECT count(*) FROM messages") == [(0,)]
