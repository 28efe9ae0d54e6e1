"""The bus: everybody hears everything in order, and a slow one loses only itself."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from daemon.bus import EventBus, EventSubscription, PublishedEvent, SubscriberLagged
from daemon.events import ContactReopened, SendingHalted, SendingResumed
from tests.helpers.clock import MIDDAY


def news(number: int) -> ContactReopened:
    """Return an event that can be told from others."""
    return ContactReopened(subject=str(number), at=MIDDAY, source="contact", reason="ALTA")


async def read(subscription: EventSubscription, into: list[str]) -> None:
    """Read until the subscription ends, keeping what came before that."""
    news_of_it = aiter(subscription)
    with contextlib.suppress(StopAsyncIteration):
        while True:
            into.append((await anext(news_of_it)).event.subject)


async def test_every_subscriber_gets_every_event_in_order_with_its_place() -> None:
    """From the moment of subscribing on."""
    bus = EventBus()
    bus.publish(news(0), 1)
    one, two = bus.subscribe(), bus.subscribe()
    bus.publish(news(1), 2)
    bus.publish(news(2))
    for subscription in (one, two):
        subscription.close()
        got = [(each.event.subject, each.seq) async for each in subscription]
        assert got == [("1", 2), ("2", None)]
    assert bus.subscriber_count == 0


async def test_a_subscription_to_some_kinds_is_not_filled_by_others() -> None:
    """An import's thousands of events let nobody lag who listens for something else."""
    bus = EventBus()
    subscription = bus.subscribe(limit=1, kinds=(SendingHalted, SendingResumed))
    for number in range(3):
        bus.publish(news(number))
    bus.publish(SendingResumed(subject="halt", at=MIDDAY, who="eva", reason="Over"))
    subscription.close()
    assert [each.event.subject async for each in subscription] == ["halt"]


async def test_who_does_not_read_lags_and_is_told_after_what_was_queued() -> None:
    """The publisher never waits, and the others lose nothing."""
    bus = EventBus()
    slow, quick = bus.subscribe(limit=2), bus.subscribe(limit=10)
    for number in range(4):
        bus.publish(news(number))
    assert bus.subscriber_count == 1
    got: list[str] = []
    with pytest.raises(SubscriberLagged):
        await read(slow, got)
    assert got == ["0", "1"]
    quick.close()
    got.clear()
    await read(quick, got)
    assert got == ["0", "1", "2", "3"]


async def test_a_subscription_waits_for_news_and_ends_when_closed() -> None:
    """Closing wakes the reader; closing twice, or after lagging, changes nothing."""
    bus = EventBus()
    subscription = bus.subscribe(limit=1)
    got: list[str] = []
    reading = asyncio.create_task(read(subscription, got))
    await asyncio.sleep(0)
    bus.publish(news(1))
    await asyncio.sleep(0)
    subscription.close()
    subscription.close()
    await reading
    assert got == ["1"]


async def test_closing_a_full_or_lagged_subscription_still_ends_it() -> None:
    """There is always a place for the end."""
    bus = EventBus()
    full, lagged = bus.subscribe(limit=1), bus.subscribe(limit=1)
    bus.publish(news(1))
    full.close()
    bus.publish(news(2))
    lagged.close()
    assert [each.event.subject async for each in full] == ["1"]
    with pytest.raises(SubscriberLagged):
        await read(lagged, [])


async def test_a_lagged_subscription_takes_nothing_more() -> None:
    """What is offered after the loss would be a gap."""
    bus = EventBus()
    subscription = bus.subscribe(limit=1)
    for number in range(3):
        bus.publish(news(number))
    subscription.offer(PublishedEvent(news(9), None))
    got: list[str] = []
    with pytest.raises(SubscriberLagged):
        await read(subscription, got)
    assert got == ["0"]
