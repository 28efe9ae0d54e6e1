"""`/v1/inbound`: messages from contacts, and what they ask for."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.api.effects import ContactRequest
from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageQuery,
    RequestBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.inbound.classification_effects import ClassificationResult
from storage import inbound
from storage.inbound import InboundRecord
from storage.inbound_reviews import Meaning

routes = web.RouteTableDef()


class InboundQuery(PageQuery, frozen=True):
    """Whose messages to list, through which session, with which request."""

    contact: str = ""
    session: str = ""
    request: ContactRequest | None = None


class ClassifyInboundBody(RequestBody, frozen=True):
    """What a message means, as a person says; `reason` is needed to correct a reading.

    `minor` and `deceased` need `confirmed`, by which a person says that they are sure.
    """

    meaning: Meaning
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    confirmed: bool = False


@routes.post("/v1/inbound/{id}/classify")
@operation(ClassificationResult, body=ClassifyInboundBody, errors=(BadRequest, NotFound, Conflict))
async def classify_inbound(request: web.Request) -> web.Response:
    """Say what a message means: messages held for it are evaluated again, or cancelled.

    The same meaning again changes nothing. `minor` erases all that is stored of them but the keyed
    hash; `deceased` and `suppress` put them on the opt-out list. A message that was read as an
    opt-out can be corrected once, and not where it is a listed word; 409 says why.
    """
    body, message = await read_body(request, ClassifyInboundBody), request.match_info["id"]
    return json_response(
        await get_services(request).classification.classify(
            message,
            body.meaning,
            who=request[ACTOR],
            reason=body.reason.strip(),
            confirmed=body.confirmed,
        )
    )


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
