"""`/v1/review`: messages and prospects that wait for a person's approval."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    ReasonBody,
    RequestQuery,
    ResultPage,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.inbound.classification import WaitingInbound
from storage.messages import MessageRecord
from storage.prospect_reviews import ProspectReview
from storage.review_queries import NumberToValidate, WaitingProspect

routes = web.RouteTableDef()


@routes.get("/v1/review")
@operation(ResultPage[MessageRecord])
async def list_messages_for_review(request: web.Request) -> web.Response:
    """Return messages that wait for a person, oldest first; `taken_by` is deciding about it now."""
    return list_response(await get_services(request).review.list_messages())


@routes.post("/v1/review/{id}/take")
@operation(MessageRecord, errors=(NotFound, Conflict))
async def take_message(request: web.Request) -> web.Response:
    """Take a message to decide about, until its lease ends; 409 where another person has it.

    Taking it again extends the lease. Deciding without taking is allowed: the lease only keeps
    two people from deciding about one message.
    """
    return json_response(
        await get_services(request).review.take(request.match_info["id"], request[ACTOR])
    )


@routes.post("/v1/review/{id}/return")
@operation(MessageRecord, errors=(NotFound, Conflict))
async def return_message(request: web.Request) -> web.Response:
    """Give a message back undecided; idempotent."""
    message_id = request.match_info["id"]
    return json_response(
        await get_services(request).review.return_message(message_id, request[ACTOR])
    )


@routes.post("/v1/review/{id}/approve")
@operation(MessageRecord, body=ReasonBody, errors=(NotFound, Conflict))
async def approve_message(request: web.Request) -> web.Response:
    """Approve exactly this text to this recipient; the gate judges the message again."""
    body, message_id = await read_body(request, ReasonBody), request.match_info["id"]
    return json_response(
        await get_services(request).review.approve(message_id, request[ACTOR], body.reason)
    )


@routes.post("/v1/review/{id}/reject")
@operation(MessageRecord, body=ReasonBody, errors=(NotFound, Conflict))
async def reject_message(request: web.Request) -> web.Response:
    """Reject a held or deferred message, which blocks it."""
    body, message_id = await read_body(request, ReasonBody), request.match_info["id"]
    return json_response(
        await get_services(request).review.reject(message_id, request[ACTOR], body.reason)
    )


@routes.get("/v1/review/prospects")
@operation(ResultPage[WaitingProspect])
async def list_prospects_for_review(request: web.Request) -> web.Response:
    """Return prospects that wait for a person's decision, and why.

    They wrote something that a person should read, or their score lies in the gate's review band.
    Prospects with only a message or a number check that waits are not listed.
    """
    services = get_services(request)
    return list_response(
        await services.review.list_prospects(services.rulesets.compiled.review_band)
    )


@routes.get("/v1/review/numbers")
@operation(ResultPage[NumberToValidate])
async def list_numbers_for_review(request: web.Request) -> web.Response:
    """Return numbers that a person has to validate, and why; with each, the messages that wait.

    No check could tell, or no phone may check numbers yet: then `check_from` says when one may.
    """
    return list_response(await get_services(request).review.list_numbers())


class InboundReviewQuery(RequestQuery, frozen=True):
    """Which messages of contacts to list."""

    correctable: bool = False
    answered: bool = False


@routes.get("/v1/review/inbound")
@operation(ResultPage[WaitingInbound], query=InboundReviewQuery)
async def list_inbound_for_review(request: web.Request) -> web.Response:
    """Return messages of contacts that a person has to read: complaints first, then oldest first.

    `quote` has the words that show `cause`, and `meanings` is what a person may say. With
    `correctable`, those that were read as an opt-out and may be corrected once; with `answered`,
    those whose answer can still be changed, the latest answer first.
    """
    query, service = read_query(request, InboundReviewQuery), get_services(request).classification
    if query.correctable:
        return list_response(await service.list_correctable())
    return list_response(
        await (service.list_changeable() if query.answered else service.list_waiting())
    )


@routes.post("/v1/review/prospects/{id}/approve")
@operation(ProspectReview, body=ReasonBody, errors=(NotFound,))
async def approve_prospect(request: web.Request) -> web.Response:
    """Approve a prospect for a limited time: `prospect.review` becomes `approved`; vetoes stay."""
    body, prospect_id = await read_body(request, ReasonBody), request.match_info["id"]
    services = get_services(request)
    return json_response(
        await services.review.approve_prospect(prospect_id, request[ACTOR], body.reason)
    )


@routes.post("/v1/review/prospects/{id}/reject")
@operation(ProspectReview, body=ReasonBody, errors=(NotFound,))
async def reject_prospect(request: web.Request) -> web.Response:
    """Reject a prospect: waiting messages are cancelled, and only replies are allowed."""
    body, prospect_id = await read_body(request, ReasonBody), request.match_info["id"]
    services = get_services(request)
    return json_response(
        await services.review.reject_prospect(prospect_id, request[ACTOR], body.reason)
    )
