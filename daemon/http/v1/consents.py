"""`/v1/prospects/{id}/…`: consent recorded afterwards, statements on numbers, withdrawals."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.contacts.consents import (
    ConsentInput,
    ConsentMethod,
    EvidenceResult,
    parse_record_number,
)
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonBody, RequestBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.v1.prospects import load_prospect

routes = web.RouteTableDef()

_ProofText = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ConsentBody(RequestBody, frozen=True):
    """A consent that was given elsewhere.

    `when` is a day such as 2026-11-28, or a moment with its zone; `heard_by` took the consent, and
    `words` is what was said or signed.
    """

    how: ConsentMethod
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    heard_by: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    words: _ProofText


class GivenNumberBody(RequestBody, frozen=True):
    """Where and how somebody gave this number as their WhatsApp."""

    where: _ProofText
    how: _ProofText


@routes.post("/v1/prospects/{id}/consent")
@operation(EvidenceResult, status=201, body=ConsentBody, errors=(NotFound, Conflict))
async def record_consent(request: web.Request) -> web.Response:
    """Record that they agreed; 409, with the reason, for who opted out or said no."""
    asked, services = await read_body(request, ConsentBody), get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    consent = ConsentInput(**msgspec.structs.asdict(asked))
    result = await services.consents.record_consent(prospect.id, consent, request[ACTOR])
    return json_response(result, status=201)


@routes.post("/v1/prospects/{id}/given-as-whatsapp")
@operation(EvidenceResult, status=201, body=GivenNumberBody, errors=(NotFound, Conflict))
async def record_given_number(request: web.Request) -> web.Response:
    """Validate the number because they gave it as their WhatsApp.

    It expires like any validation, and ends with the first message that is not delivered.
    """
    asked, services = await read_body(request, GivenNumberBody), get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    result = await services.consents.record_given_number(
        prospect.id, where=asked.where, how=asked.how, who=request[ACTOR]
    )
    return json_response(result, status=201)


@routes.post("/v1/prospects/{id}/evidence/{record}/withdraw")
@operation(EvidenceResult, body=ReasonBody, errors=(NotFound, Conflict))
async def withdraw_evidence(request: web.Request) -> web.Response:
    """Withdraw a record that was wrong; what waits for them is evaluated again."""
    asked, services = await read_body(request, ReasonBody), get_services(request)
    record = parse_record_number(request.match_info["record"])
    prospect = await load_prospect(services, request.match_info["id"])
    result = await services.consents.withdraw(
        prospect.id, record, who=request[ACTOR], reason=asked.reason
    )
    return json_response(result)
