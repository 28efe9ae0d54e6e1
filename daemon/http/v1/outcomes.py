"""Outcomes that a person sets without a message of theirs, and the purchase intent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.api.effects import Intent
from daemon.chats.outcome_service import OutcomeResult
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.v1.prospects import load_prospect
from storage.outcomes import Outcome
from storage.prospects import ProspectRecord

routes = web.RouteTableDef()


class ProspectOutcomeBody(RequestBody, frozen=True):
    """`no_reply`, `not_delivered` or `number_does_not_exist`, and how the person knows."""

    outcome: Outcome
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class IntentBody(RequestBody, frozen=True):
    """The purchase intent, and the message of theirs that shows it; else their last."""

    intent: Intent
    inbound: Annotated[str, msgspec.Meta(max_length=64)] = ""


@routes.post("/v1/prospects/{id}/outcome")
@operation(OutcomeResult, body=ProspectOutcomeBody, errors=(NotFound, Conflict))
async def record_prospect_outcome(request: web.Request) -> web.Response:
    """Record an outcome that no message of theirs shows; clock and receipts do it by themselves.

    409 where they have answered, where it arrived, or where nothing left. It is taken back like any
    outcome, by `POST /v1/conversations/{contact}/outcome/undo`.
    """
    body, services = await read_body(request, ProspectOutcomeBody), get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    result = await services.unanswered_outcomes.record(
        prospect.id, body.outcome, request[ACTOR], body.reason
    )
    return json_response(result)


@routes.post("/v1/conversations/{contact}/intent")
@operation(ProspectRecord, body=IntentBody, errors=(NotFound, Conflict))
async def set_intent(request: web.Request) -> web.Response:
    """Set the purchase intent of the person in a chat, with the message that shows it."""
    body, contact = await read_body(request, IntentBody), request.match_info["contact"]
    prospect = await get_services(request).outcomes.set_intent(
        contact, body.intent, request[ACTOR], inbound_id=body.inbound
    )
    return json_response(prospect)
