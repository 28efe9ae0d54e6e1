"""`/v1/events`: the log from any place in it, then live; as lines, or over a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from daemon import misfits
from daemon.auth.access import readable
from daemon.errors import BadRequest
from daemon.events import EVENTS
from daemon.http import ws
from daemon.http.auth import identity_of, may_sign_in_later
from daemon.http.auth.forgery import is_upgrade
from daemon.http.bodies import Query
from daemon.http.openapi import LINES, operation
from daemon.http.streams import LAGGED, endless, from_log_then_live, listening, send_lines
from daemon.http.vitals import house_of

routes = web.RouteTableDef()


class EventQuery(Query, frozen=True):
    """Where to begin; without `after`, with what happens next."""

    after: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)] | None = None
    type: tuple[str, ...] = ()


@routes.get("/v1/events")
@operation(dict[str, Any], query=EventQuery, gives=(LINES,))
@endless
@may_sign_in_later
async def events(request: web.Request) -> web.StreamResponse:
    """Answer with the status stream where a WebSocket is asked for, else with lines."""
    return await (ws.serve if is_upgrade(request) else tail)(request)


async def tail(request: web.Request) -> web.StreamResponse:
    """Stream every event after `after`, one JSON object a line, and go on as they happen.

    `type` (may be repeated) narrows; so do the scopes of whoever listens. Pairing codes are
    never among them.
    """
    asked, house = _asked(request), house_of(request)
    heard = readable(identity_of(request).scopes).intersection(asked.type or EVENTS)
    async with listening(request, house.bus) as subscription:
        after = await house.database.high_water() if asked.after is None else asked.after
        lines = from_log_then_live(house.database, subscription, after)
        return await send_lines(request, subscription, _narrowed(lines, heard))


def _asked(request: web.Request) -> EventQuery:
    given: dict[str, Any] = {**request.query, "type": request.query.getall("type", [])}
    try:
        asked = msgspec.convert(given, EventQuery, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(misfits.sentence(error, EventQuery, whole="query")) from error
    if unknown := set(asked.type) - EVENTS.keys():
        raise BadRequest(
            f"type: there is no event {', '.join(sorted(unknown))}.",
            hint=f"The events are: {', '.join(sorted(EVENTS))}.",
        )
    return asked


async def _narrowed(
    lines: AsyncIterator[dict[str, Any]], types: frozenset[str]
) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line["type"] in types or line["type"] == LAGGED:
            yield line
