"""`/v1/events`: the log as a stream of lines, from any place in it, then live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from daemon.errors import BadRequest
from daemon.events import EVENTS
from daemon.http.bodies import Query
from daemon.http.streams import LAGGED, endless, from_log_then_live, listening, send_lines
from daemon.http.vitals import house_of

routes = web.RouteTableDef()


class From(Query, frozen=True):
    """Where to begin; without `after`, with what happens next."""

    after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    type: tuple[str, ...] = ()


@routes.get("/v1/events")
@endless
async def tail(request: web.Request) -> web.StreamResponse:
    """Stream every event after `after`, one JSON object a line, and go on as they happen.

    `type` (may be repeated) narrows. Pairing codes are never among them.
    """
    asked, house = _asked(request), house_of(request)
    async with listening(request, house.bus) as subscription:
        after = await house.database.high_water() if asked.after is None else asked.after
        lines = from_log_then_live(house.database, subscription, after)
        return await send_lines(request, subscription, _narrowed(lines, asked.type))


def _asked(request: web.Request) -> From:
    given: dict[str, Any] = {**request.query, "type": request.query.getall("type", [])}
    try:
        asked = msgspec.convert(given, From, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The query can't be taken: {error}.") from error
    if unknown := set(asked.type) - EVENTS.keys():
        raise BadRequest(
            f"type: there is no event {', '.join(sorted(unknown))}.",
            hint=f"The events are: {', '.join(sorted(EVENTS))}.",
        )
    return asked


async def _narrowed(
    lines: AsyncIterator[dict[str, Any]], types: tuple[str, ...]
) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if not types or line["type"] in (*types, LAGGED):
            yield line
