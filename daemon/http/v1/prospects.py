"""`/v1/prospects`: lists, creates, corrects, validates and checks prospects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from daemon.api import numbers
from daemon.contacts.prospect_filters import ProspectFilter, build_search
from daemon.contacts.prospects import ProspectInput
from daemon.errors import BadRequest, Conflict, NotFound, NumberRejected, Unavailable
from daemon.gate import facts
from daemon.gate.consent import Permission
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    PageLimit,
    PhoneText,
    ReasonText,
    RequestBody,
    ResponseBody,
    ResultPage,
    build_page,
    etag_response,
    json_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.services import Services
from storage import (
    contacts,
    evidence,
    prospect_fields,
    prospect_reviews,
    prospect_search,
    prospects,
    score_explanations,
    suppressions,
)
from storage.evidence import Evidence
from storage.prospect_reviews import ProspectReview
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

ShortText = Annotated[str, msgspec.Meta(max_length=200)]
LongText = Annotated[str, msgspec.Meta(max_length=4000)]


class ProspectQuery(ProspectFilter, frozen=True):
    """Which prospects to list; `text` is a part of the name, trade, origin or number."""

    after: str = ""
    limit: PageLimit = 50


class NewProspectBody(RequestBody, frozen=True):
    """A prospect to add. `statement` says how they agreed to messages; an opt-in needs one."""

    phone: PhoneText
    cartera_origen: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    permission: Literal["opted_in", "relationship", "public_source", "none", "refused"] = "none"
    statement: ShortText = ""
    name: ShortText = ""
    trade: ShortText = ""
    notes: LongText = ""


class ProspectCorrectionBody(RequestBody, frozen=True):
    """A correction and its reason; fields left out stay. `cartera_origen` never changes."""

    reason: ReasonText
    phone: PhoneText | None = None
    name: ShortText | None = None
    trade: ShortText | None = None
    notes: LongText | None = None


class ValidationBody(RequestBody, frozen=True):
    """An operator's statement that the number is reachable, or that it is not."""

    validated: bool
    reason: ReasonText


class ProspectDetail(ResponseBody, frozen=True):
    """A prospect with evidence, review and score; `score` is null before it was computed.

    `review` is its own state in the review queue, `reviewed` the person's decision in force.
    `fields` are further data that lists had, by header.
    """

    prospect: ProspectRecord
    suppressed: bool
    review: facts.ReviewStatus
    reviewed: ProspectReview | None
    score: dict[str, Any] | None
    evidence: Sequence[Evidence]
    fields: dict[str, str]


@routes.get("/v1/prospects")
@operation(ResultPage[ProspectRecord], query=ProspectQuery, etag=True)
async def list_prospects(request: web.Request) -> web.Response:
    """Return prospects in order of creation."""
    query = read_query(request, ProspectQuery)
    services = get_services(request)
    region = services.settings.daemon.default_region
    found = await services.database.read(
        lambda reader: prospect_search.search_prospects(
            reader,
            build_search(query, region),
            now=services.clock.now(),
            after=query.after,
            limit=query.limit + 1,
        )
    )
    return etag_response(request, build_page(found, query.limit, lambda prospect: prospect.id))


@routes.post("/v1/prospects")
@operation(ProspectRecord, status=201, body=NewProspectBody, errors=(NumberRejected, Conflict))
async def create_prospect(request: web.Request) -> web.Response:
    """Add one prospect; 409 where the person exists, under any form of the number."""
    asked = await read_body(request, NewProspectBody)
    fields = {**msgspec.structs.asdict(asked), "permission": Permission(asked.permission)}
    made = await get_services(request).prospects.create(ProspectInput(**fields), request[ACTOR])
    return json_response(made, status=201)


@routes.get("/v1/prospects/{id}")
@operation(ProspectDetail, errors=(NotFound,), etag=True)
async def get_prospect(request: web.Request) -> web.Response:
    """Return one prospect with its evidence and its score; the id may be a phone number."""
    services, prospect_id = get_services(request), request.match_info["id"]
    return etag_response(
        request,
        await services.database.read(
            lambda reader: _read_prospect_detail(reader, prospect_id, services)
        ),
    )


@routes.patch("/v1/prospects/{id}")
@operation(ProspectRecord, body=ProspectCorrectionBody, errors=(NotFound, NumberRejected, Conflict))
async def correct_prospect(request: web.Request) -> web.Response:
    """Correct a name, a trade, notes or a number.

    A corrected number loses the validation of the old one, and messages that wait for it are
    cancelled; 409 where the old number opted out or had a conversation with us.
    """
    asked, services, who = (
        await read_body(request, ProspectCorrectionBody),
        get_services(request),
        request[ACTOR],
    )
    prospect = await load_prospect(services, request.match_info["id"])
    texts = {
        name: value
        for name in ("name", "trade", "notes")
        if (value := getattr(asked, name)) is not None
    }
    if not texts and asked.phone is None:
        raise BadRequest("There is nothing to correct.", hint="Give phone, name, trade or notes.")
    # The number first: where it is refused, the texts are not changed either.
    if asked.phone is not None:
        prospect = await services.prospects.correct_number(
            prospect.id, asked.phone, who, asked.reason
        )
    if texts:
        prospect = await services.prospects.update_texts(prospect.id, who, asked.reason, texts)
    return json_response(prospect)


@routes.post("/v1/prospects/{id}/validate")
@operation(ProspectRecord, body=ValidationBody, errors=(NotFound, Conflict))
async def validate_prospect(request: web.Request) -> web.Response:
    """Store an operator's validation with its reason; it expires like any other validation."""
    asked, services = await read_body(request, ValidationBody), get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    who = request[ACTOR]
    await services.validation.set_by_hand(
        prospect.id, validated=asked.validated, who=who, reason=asked.reason
    )
    return json_response(await load_prospect(services, prospect.id))


@routes.post("/v1/prospects/{id}/check")
@operation(ProspectRecord, errors=(NotFound, Conflict, Unavailable))
async def check_prospect(request: web.Request) -> web.Response:
    """Ask WhatsApp about the number, within the budget of a ready session."""
    services = get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    await services.validation.check(prospect.id, request[ACTOR])
    return json_response(await load_prospect(services, prospect.id))


async def load_prospect(services: Services, prospect_id: str) -> ProspectRecord:
    """Return a prospect by its id or its number; raise :class:`NotFound`."""
    return await services.database.read(
        lambda reader: _read_prospect(reader, prospect_id, services)
    )


def _read_prospect(reader: Reader, prospect_id: str, services: Services) -> ProspectRecord:
    found = prospects.get_prospect(reader, prospect_id) or _find_by_number(
        reader, prospect_id, services
    )
    if found is None:
        raise NotFound(f"There is no prospect {prospect_id}.")
    return found.as_of(services.clock.now())


def _find_by_number(reader: Reader, prospect_id: str, services: Services) -> ProspectRecord | None:
    try:
        number = numbers.parse_phone(prospect_id, services.settings.daemon.default_region)
    except numbers.NumberUnusable:
        return None
    contact = contacts.find_contact_by_alias(reader, number.e164)
    return prospects.find_prospect_by_contact(reader, contact) if contact else None


def _read_prospect_detail(reader: Reader, prospect_id: str, services: Services) -> ProspectDetail:
    prospect = _read_prospect(reader, prospect_id, services)
    document = score_explanations.get_score_explanation(reader, prospect.score_explanation)
    score: Mapping[str, Any] | None = json.loads(document or "null")
    contact = contacts.get_contact(reader, prospect.contact)
    asked = contact.review_reason if contact else None
    reviewed = prospect_reviews.get_current_prospect_review(
        reader, prospect.contact, services.clock.now()
    )
    in_band = prospect.score_contactabilidad in services.rulesets.compiled.review_band
    return ProspectDetail(
        prospect=prospect,
        suppressed=suppressions.is_contact_suppressed(reader, prospect.contact),
        review=facts.compute_review_status(asked, reviewed, in_band=in_band),
        reviewed=reviewed,
        score=dict(score) if score else None,
        evidence=evidence.list_contact_evidence(reader, prospect.contact),
        fields=prospect_fields.list_prospect_fields(reader, [prospect.id])[prospect.id],
    )
