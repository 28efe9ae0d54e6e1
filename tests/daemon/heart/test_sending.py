"""From the wire's answer to a message's state: only an acknowledgement makes it `sent`."""

from __future__ import annotations

from tests.helpers.heart import SmallHouse


async def test_an_acknowledged_message_is_sent_under_the_servers_id(house: SmallHouse) -> None:
    """The happy path: queued, cleared, sending, sent, with the id stored."""
    message = await house.post()
    assert await house.path(message) == ["queued", "cleared", "sending", "sent"]
    assert (await house.message(message)).wire_id == "wire-1"
