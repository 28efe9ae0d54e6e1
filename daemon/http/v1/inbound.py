"""`/v1/inbound`: messages from contacts, and what they ask for."""

from __future__ import annotations

from aiohttp import web

from daemon.api.effects import ContactRequest
from daemon.http.bodies import PageQuery, ResultPage, page_response, read_query
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage import inbound
from storage.inbound import InboundRecord

routes = web.RouteTableDef()


class InboundQuery(PageQuery, frozen=True):
    """Whose messages to list, through which session, with which request."""

    contact: str = ""
    session: str = ""
    request: ContactRequest | None = None


@routes.get("/v1/inbound")
@operation(ResultPage[InboundRecord], query=InboundQuery)
async def list_inbound(request: web.Request) -> web.Response:
    """Return messages from contacts, newest first."""
    query = read_query(request, InboundQuery)
    found = await get_services(request).database.read(
        lambda reader: inbound.list_inbound(
            reader,
            contact=query.contact,
            session=query.session,
            request=query.request or "",
            after=query.after,
            limit=query.limit + 1,
        )
    )
    return page_response(found, query.limit, lambda record: record.id)
