"""`/v1/prospects`: who may be worth writing to, how well reachable, and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from daemon import facts
from daemon.api import numbers
from daemon.consent import Permission
from daemon.errors import BadRequest, Conflict, NotFound, NumberRejected, Unavailable
from daemon.http.bodies import (
    Answer,
    Body,
    PageQuery,
    Reason,
    ResultPage,
    answer,
    body,
    listing,
    query,
    tagged,
)
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from daemon.prospects import Entry
from statemachines.prospect import ValidationState
from storage import contacts, evidence, prospect_reviews, prospects, suppressions
from storage.evidence import Evidence
from storage.prospect_reviews import ProspectReview
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

Line = Annotated[str, msgspec.Meta(max_length=200)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
PhoneText = Annotated[str, msgspec.Meta(min_length=3, max_length=64)]


class ProspectQuery(PageQuery, frozen=True):
    """Which prospects to list; `text` is part of name, trade, origin or number."""

    text: str = ""
    validation: ValidationState | None = None
    permission: Permission | None = None


class NewProspectBody(Body, frozen=True):
    """A prospect by hand. `statement` says how they agreed; an opt-in needs one."""

    phone: PhoneText
    cartera_origen: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    permission: Literal["opted_in", "relationship", "public_source", "none", "refused"] = "none"
    statement: Line = ""
    name: Line = ""
    trade: Line = ""
    notes: Text = ""


class ProspectCorrectionBody(Body, frozen=True):
    """What to put right, and why; what is left out stays. `cartera_origen` never changes."""

    reason: Reason
    phone: PhoneText | None = None
    name: Line | None = None
    trade: Line | None = None
    notes: Text | None = None


class ValidationBody(Body, frozen=True):
    """An operator's word: the number is reachable, or it is not."""

    validated: bool
    reason: Reason


class ProspectDetail(Answer, frozen=True):
    """All that is known of a prospect; `score` explains itself, null before it was computed.

    `review` is where it stands in the queue itself, `reviewed` the person's word that holds.
    """

    prospect: ProspectRecord
    suppressed: bool
    review: facts.Review
    reviewed: ProspectReview | None
    score: dict[str, Any] | None
    evidence: Sequence[Evidence]


@routes.get("/v1/prospects")
@operation(ResultPage[ProspectRecord], query=ProspectQuery, tagged=True)
async def list_(request: web.Request) -> web.Response:
    """Return prospects in the order they came."""
    wanted = query(request, ProspectQuery)
    found = await house_of(request).database.read(
        lambda reader: prospects.search(
            reader,
            text=wanted.text,
            validation=wanted.validation,
            permission=wanted.permission,
            after=wanted.after,
            limit=wanted.limit + 1,
        )
    )
    return tagged(request, listing(found, wanted.limit, lambda prospect: prospect.id))


@routes.post("/v1/prospects")
@operation(ProspectRecord, status=201, body=NewProspectBody, refuses=(NumberRejected, Conflict))
async def create(request: web.Request) -> web.Response:
    """Enter one prospect; 409 where the person is there already, in any form of the number."""
    asked = await body(request, NewProspectBody)
    fields = {**msgspec.structs.asdict(asked), "permission": Permission(asked.permission)}
    made = await house_of(request).prospects.create(Entry(**fields), request[WHO])
    return answer(made, status=201)


@routes.get("/v1/prospects/{id}")
@operation(ProspectDetail, refuses=(NotFound,), tagged=True)
async def get(request: web.Request) -> web.Response:
    """Return one prospect with its evidence and its score explained; the id may be a number."""
    house, wanted = house_of(request), request.match_info["id"]
    return tagged(
        request, await house.database.read(lambda reader: _dossier(reader, wanted, house))
    )


@routes.patch("/v1/prospects/{id}")
@operation(
    ProspectRecord, body=ProspectCorrectionBody, refuses=(NotFound, NumberRejected, Conflict)
)
async def correct(request: web.Request) -> web.Response:
    """Put a name, a trade, notes or a number right.

    A number that turns out to be another line loses what was found out about the wrong one, and
    what waits for it is cancelled; 409 where the old number opted out or talked with us.
    """
    asked, house, who = await body(request, ProspectCorrectionBody), house_of(request), request[WHO]
    prospect = await _found(house, request.match_info["id"])
    texts = {
        name: value
        for name in ("name", "trade", "notes")
        if (value := getattr(asked, name)) is not None
    }
    if not texts and asked.phone is None:
        raise BadRequest("There is nothing to put right.", hint="Give phone, name, trade or notes.")
    if asked.phone is not None:
        prospect = await house.prospects.renumber(prospect.id, asked.phone, who, asked.reason)
    if texts:
        prospect = await house.prospects.describe(prospect.id, who, asked.reason, texts)
    return answer(prospect)


@routes.post("/v1/prospects/{id}/validate")
@operation(ProspectRecord, body=ValidationBody, refuses=(NotFound, Conflict))
async def validate(request: web.Request) -> web.Response:
    """Take an operator's word, with a reason; it expires like any other validation."""
    asked, house = await body(request, ValidationBody), house_of(request)
    prospect = await _found(house, request.match_info["id"])
    who = request[WHO]
    await house.validation.set_by_hand(
        prospect.id, validated=asked.validated, who=who, reason=asked.reason
    )
    return answer(await _found(house, prospect.id))


@routes.post("/v1/prospects/{id}/check")
@operation(ProspectRecord, refuses=(NotFound, Conflict, Unavailable))
async def check(request: web.Request) -> web.Response:
    """Ask WhatsApp about the number, within the budget of a ready session."""
    house = house_of(request)
    prospect = await _found(house, request.match_info["id"])
    await house.validation.check(prospect.id, request[WHO])
    return answer(await _found(house, prospect.id))


async def _found(house: House, wanted: str) -> ProspectRecord:
    return await house.database.read(lambda reader: _prospect(reader, wanted, house))


def _prospect(reader: Reader, wanted: str, house: House) -> ProspectRecord:
    found = prospects.get(reader, wanted) or _by_number(reader, wanted, house)
    if found is None:
        raise NotFound(f"There is no prospect {wanted}.")
    return found


def _by_number(reader: Reader, wanted: str, house: House) -> ProspectRecord | None:
    try:
        number = numbers.parse(wanted, house.settings.daemon.default_region)
    except numbers.NumberUnusable:
        return None
    contact = contacts.of_alias(reader, number.e164)
    return prospects.of_contact(reader, contact) if contact else None


def _dossier(reader: Reader, wanted: str, house: House) -> ProspectDetail:
    prospect = _prospect(reader, wanted, house)
    score: Mapping[str, Any] | None = json.loads(prospect.score_explanation or "null")
    contact = contacts.get(reader, prospect.contact)
    asked = contact.review_reason if contact else None
    reviewed = prospect_reviews.standing(reader, prospect.contact, house.clock.now())
    in_band = prospect.score_contactabilidad in house.rulebook.judges.review_band
    return ProspectDetail(
        prospect=prospect,
        suppressed=suppressions.is_suppressed(reader, prospect.contact),
        review=facts.review_of(asked, reviewed, in_band=in_band),
        reviewed=reviewed,
        score=dict(score) if score else None,
        evidence=evidence.of_contact(reader, prospect.contact),
    )
