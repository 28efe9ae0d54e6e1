"""Streams newline-delimited JSON: stored events, then live ones; ends streams at shutdown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from daemon.background import run_in_background
from daemon.bus import EventBus, EventSubscription, PublishedEvent, SubscriberLagged
from daemon.errors import Unavailable
from daemon.http.openapi.operation import NDJSON
from storage import event_log
from storage.db import Database
from storage.events import CommittedEvent

HEARTBEAT_SECONDS: Final = 15.0
LOG_PAGE_SIZE: Final = 200
LAGGED_TYPE: Final = "stream.lagged"
"""The type of the last line to a listener who fell behind; its `seq` is where to go on."""
OPEN_STREAMS: Final = web.AppKey("open_streams", set[Callable[[], None]])
"""What a shutdown calls, so that it does not wait for what would go on."""

Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def no_time_limit(handler: Handled) -> Handled:
    """Mark a handler whose answer goes on for as long as somebody listens: no time limit."""
    handler.__dict__["endless"] = True
    return handler


async def close_streams(app: web.Application) -> None:
    """End every stream, so that a shutdown does not wait for listeners."""
    under_way = app[OPEN_STREAMS]
    for end in tuple(under_way):
        end()


@contextlib.contextmanager
def call_at_shutdown(request: web.Request, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` where the daemon shuts down before the block ends."""
    under_way = request.app[OPEN_STREAMS]
    under_way.add(end)
    try:
        yield
    finally:
        under_way.discard(end)


@contextlib.asynccontextmanager
async def cancel_at_shutdown(request: web.Request) -> AsyncIterator[None]:
    """Cut the block short with :class:`Unavailable` where the daemon shuts down meanwhile."""
    limit = asyncio.timeout(None)
    try:
        async with limit:
            with call_at_shutdown(request, partial(limit.reschedule, 0.0)):
                yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Unavailable("The daemon ends before this was done.") from error


@contextlib.asynccontextmanager
async def open_subscription(
    request: web.Request, bus: EventBus
) -> AsyncIterator[EventSubscription]:
    """Lend a subscription that ends with the request, and when the daemon shuts down."""
    subscription = bus.subscribe()
    with call_at_shutdown(request, subscription.close):
        try:
            yield subscription
        finally:
            subscription.close()


async def send_ndjson(
    request: web.Request, subscription: EventSubscription, lines: AsyncIterator[dict[str, Any]]
) -> web.StreamResponse:
    """Write each item as a line; an empty one now and then shows that both ends live."""
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(request)
    async with run_in_background(_send_heartbeats(response, subscription), "heartbeats"):
        # Where the listener has gone nothing is left to say.
        with contextlib.suppress(ConnectionError):
            async for line in lines:
                await response.write(msgspec.json.encode(line) + b"\n")
            await response.write_eof()
    return response


async def _send_heartbeats(response: web.StreamResponse, subscription: EventSubscription) -> None:
    try:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await response.write(b"\n")
    except ConnectionError:
        subscription.close()


async def iterate_events(
    database: Database, subscription: EventSubscription, after: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield every stored event past `after`, in order, then those that happen from now on.

    The subscription must have begun before: what is in both is told once. A listener who
    fell behind is told so and finds the rest by asking again with the last seq.
    """
    seq = after
    while events := await database.read(
        partial(event_log.list_events_after, seq=seq, limit=LOG_PAGE_SIZE)
    ):
        for event in events:
            yield event_to_json(event)
        seq = events[-1].seq
    try:
        async for published in subscription:
            if published.seq is not None and published.seq > seq:
                seq = published.seq
                yield event_to_json(published)
    except SubscriberLagged:
        yield {"type": LAGGED_TYPE, "seq": seq}


def event_to_json(source: CommittedEvent | PublishedEvent) -> dict[str, Any]:
    """Return an event in its public form, whether it comes from the log or the bus."""
    event = source.event if isinstance(source, PublishedEvent) else source
    return {
        "seq": source.seq,
        "type": event.type,
        "at": event.at,
        "subject": event.subject,
        "data": event.data,
    }
