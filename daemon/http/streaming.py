"""Streams of newline-delimited JSON: stored events, then live ones; ended at shutdown."""

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
from daemon.errors import LeadMasterError, Unavailable
from daemon.http.authentication import get_auth, get_identity
from daemon.http.openapi.operation import NDJSON
from storage import event_log
from storage.db import Database
from storage.errors import StorageError
from storage.events import CommittedEvent

HEARTBEAT_SECONDS: Final = 15.0
CLIENT_WATCH_SECONDS: Final = 0.5
"""How long work goes on at most for a client that has left."""
ACCESS_CHECK_SECONDS: Final = 30.0
"""How often a stream's token is checked for its expiry; a revocation is noticed at once."""
LOG_PAGE_SIZE: Final = 200
LAGGED_TYPE: Final = "stream.lagged"
"""The type of the last line to a client that lagged; its `seq` is where to continue."""
OPEN_STREAMS: Final = web.AppKey("open_streams", set[Callable[[], None]])
"""Functions that a shutdown calls to end the open streams."""

Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def no_time_limit(handler: Handled) -> Handled:
    """Mark a handler whose answer may take any time, such as a stream."""
    handler.__dict__["endless"] = True
    return handler


async def close_streams(app: web.Application) -> None:
    """End every stream, so that a shutdown does not wait for clients to leave."""
    open_streams = app[OPEN_STREAMS]
    for end in tuple(open_streams):
        end()


@contextlib.contextmanager
def call_at_shutdown(request: web.Request, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` if the daemon shuts down before the block ends."""
    open_streams = request.app[OPEN_STREAMS]
    open_streams.add(end)
    try:
        yield
    finally:
        open_streams.discard(end)


@contextlib.asynccontextmanager
async def cancel_at_shutdown(request: web.Request) -> AsyncIterator[None]:
    """Cancel the block and raise :class:`Unavailable` if the daemon shuts down meanwhile."""
    # A timeout without a deadline, which the shutdown moves to now: it cancels this block alone.
    limit = asyncio.timeout(None)
    try:
        async with limit:
            with call_at_shutdown(request, partial(limit.reschedule, 0.0)):
                yield
    except TimeoutError as error:
        if not limit.expired():  # a timeout of the block itself
            raise
        raise Unavailable("The daemon stopped before this was done.") from error


@contextlib.asynccontextmanager
async def cancel_when_nobody_waits(request: web.Request) -> AsyncIterator[None]:
    """Cancel the block once its client has left, or the daemon shuts down.

    Raises :class:`Unavailable` then, which only a client that is still there reads.
    """
    limit = asyncio.timeout(None)
    try:
        async with (
            cancel_at_shutdown(request),
            limit,
            run_in_background(_watch_client(request, limit), "client"),
        ):
            yield
    except TimeoutError as error:
        if not limit.expired():  # a timeout of the block itself
            raise
        raise Unavailable("The client left before this was done.") from error


async def _watch_client(request: web.Request, limit: asyncio.Timeout) -> None:
    """Let the limit expire once the connection is closed, which interrupts no handler by itself."""
    while True:
        await asyncio.sleep(CLIENT_WATCH_SECONDS)
        if request.transport is None or request.transport.is_closing():
            limit.reschedule(0.0)
            return


@contextlib.asynccontextmanager
async def cut_without_access(request: web.Request) -> AsyncIterator[None]:
    """Abort connection and block where the caller's rights change after the answer has begun."""
    limit = asyncio.timeout(None)
    try:
        async with limit, run_in_background(_watch_access(request, limit), "access"):
            yield
    except TimeoutError:
        if not limit.expired():  # a timeout of the block itself
            raise
        # Not a regular end, which a reader would take for the end of a whole answer.
        if request.transport is not None:
            request.transport.abort()


async def _watch_access(request: web.Request, limit: asyncio.Timeout) -> None:
    """Let the limit expire once the request's credentials no longer give the same rights."""
    auth, identity, changed = get_auth(request), get_identity(request), asyncio.Event()
    with auth.access_changes.watch(identity.user, changed):
        changed.clear()
        try:
            while (await auth.refresh_identity(identity)).scopes == identity.scopes:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ACCESS_CHECK_SECONDS):
                        await changed.wait()
                changed.clear()  # before the next look: a report during it is another one
        except (LeadMasterError, StorageError):  # revoked, or nobody can say whether it is
            pass
    limit.reschedule(0.0)


@contextlib.asynccontextmanager
async def open_subscription(
    request: web.Request, bus: EventBus
) -> AsyncIterator[EventSubscription]:
    """Yield a subscription that ends with the request, or when the daemon shuts down."""
    subscription = bus.subscribe()
    with call_at_shutdown(request, subscription.close):
        try:
            yield subscription
        finally:
            subscription.close()


async def send_ndjson(
    request: web.Request, subscription: EventSubscription, lines: AsyncIterator[dict[str, Any]]
) -> web.StreamResponse:
    """Stream each item as a line, with an empty line every few seconds as a heartbeat."""
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    await response.prepare(request)
    async with (
        run_in_background(_send_heartbeats(response, subscription), "heartbeats"),
        cut_without_access(request),
    ):
        # The client has left.
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
    except ConnectionError:  # the client has left; without an event, only a write shows that
        subscription.close()


async def iterate_events(
    database: Database, subscription: EventSubscription, after: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield every stored event after `after`, in order, then live events.

    The subscription must have begun before the call. After a lag the last line says so, and the
    client continues by asking again with the last seq.
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
            # The log had some of them already; those without a seq are secrets.
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
