"""`/v1/events`: stored events from any position, then live ones, as lines or by WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from daemon import validation_errors
from daemon.auth.access import list_readable_topics
from daemon.errors import BadRequest
from daemon.events import EVENT_CLASSES
from daemon.http import websocket
from daemon.http.authentication import allow_late_sign_in, get_identity
from daemon.http.bodies import RequestQuery
from daemon.http.browser_session import is_websocket_upgrade
from daemon.http.health import get_services
from daemon.http.openapi import NDJSON, operation
from daemon.http.streaming import (
    LAGGED_TYPE,
    iterate_events,
    no_time_limit,
    open_subscription,
    send_ndjson,
)

routes = web.RouteTableDef()


class EventQuery(RequestQuery, frozen=True):
    """The number of the event after which to begin (without it: the next one), and the types."""

    after: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None
    type: tuple[str, ...] = ()


@routes.get("/v1/events")
@operation(dict[str, Any], query=EventQuery, media_types=(NDJSON,))
@no_time_limit
@allow_late_sign_in
async def get_events(request: web.Request) -> web.StreamResponse:
    """Answer with the status stream where a WebSocket is asked for, else with lines."""
    # One address for both; only a WebSocket may sign in by its first message.
    return await (websocket.serve_websocket if is_websocket_upgrade(request) else stream_events)(
        request
    )


async def stream_events(request: web.Request) -> web.StreamResponse:
    """Stream every event after `after`, one JSON object a line, and go on as they happen.

    `type` selects types of events and may be repeated; the caller's scopes select too. Pairing
    codes are never sent.
    """
    query, services = _read_event_query(request), get_services(request)
    types = list_readable_topics(get_identity(request).scopes).intersection(
        query.type or EVENT_CLASSES
    )
    # Subscribed before the log is read, so that nothing is missed between the two.
    async with open_subscription(request, services.bus) as subscription:
        after = await services.database.high_water() if query.after is None else query.after
        lines = iterate_events(services.database, subscription, after)
        return await send_ndjson(request, subscription, _filter_lines(lines, types))


def _read_event_query(request: web.Request) -> EventQuery:
    given: dict[str, Any] = {**request.query, "type": request.query.getall("type", [])}
    try:
        asked = msgspec.convert(given, EventQuery, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(
            validation_errors.format_validation_error(error, EventQuery, value_name="query")
        ) from error
    if unknown := set(asked.type) - EVENT_CLASSES.keys():
        raise BadRequest(
            f"type: there is no event {', '.join(sorted(unknown))}.",
            hint=f"The events are: {', '.join(sorted(EVENT_CLASSES))}.",
        )
    return asked


async def _filter_lines(
    lines: AsyncIterator[dict[str, Any]], types: frozenset[str]
) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line["type"] in types or line["type"] == LAGGED_TYPE:
            yield line
