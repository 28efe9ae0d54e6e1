"""`/v1/quarantine`: signals of channels that could not be stored."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    ReasonBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage.quarantine import QuarantinedSignal

routes = web.RouteTableDef()


class QuarantineQuery(PageQuery, frozen=True):
    """Of which session to list, and whether the settled or the open ones."""

    session: str = ""
    settled: bool = False


@routes.get("/v1/quarantine")
@operation(ResultPage[QuarantinedSignal], query=QuarantineQuery)
async def list_quarantined_signals(request: web.Request) -> web.Response:
    """Return quarantined signals, oldest first."""
    query = read_query(request, QuarantineQuery)
    found = await get_services(request).signal_handlers.quarantine.list_signals(
        session=query.session, settled=query.settled, after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda record: record.id)


@routes.post("/v1/quarantine/{id}/settle")
@operation(QuarantinedSignal, body=ReasonBody, errors=(NotFound, Conflict))
async def settle_quarantined_signal(request: web.Request) -> web.Response:
    """Settle a quarantined signal with a reason; its hold on the contact's messages ends."""
    body, signal_id = await read_body(request, ReasonBody), request.match_info["id"]
    quarantine = get_services(request).signal_handlers.quarantine
    return json_response(await quarantine.settle(signal_id, request[ACTOR], body.reason))
