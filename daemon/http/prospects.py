"""`/v1/prospects`: who may be worth writing to, how well reachable, and what is known of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from daemon.api import numbers
from daemon.errors import BadRequest, NotFound
from daemon.http.bodies import Body, Page, Reason, answer, body, page, query
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.vitals import house_of
from statemachines.prospect import Validation
from storage import contacts, evidence, prospects, suppressions
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()


class Wanted(Page, frozen=True):
    """Which prospects to list; `text` is part of name, trade, origin or number."""

    text: str = ""
    validation: str = ""
    permission: str = ""


class Word(Body, frozen=True):
    """An operator's word: the number is reachable, or it is not."""

    validated: bool
    reason: Reason


@routes.get("/v1/prospects")
async def list_(request: web.Request) -> web.Response:
    """Return prospects in the order they came."""
    wanted = query(request, Wanted)
    validation = _validation(wanted.validation)
    found = await house_of(request).database.read(
        lambda reader: prospects.search(
            reader,
            text=wanted.text,
            validation=validation,
            permission=wanted.permission or None,
            after=wanted.after,
            limit=wanted.limit + 1,
        )
    )
    return page(found, wanted.limit, lambda prospect: prospect.id)


def _validation(word: str) -> Validation | None:
    try:
        return Validation(word) if word else None
    except ValueError as error:
        known = ", ".join(Validation)
        raise BadRequest(f"validation: {error}.", hint=f"The states are: {known}.") from error


@routes.get("/v1/prospects/{id}")
async def get(request: web.Request) -> web.Response:
    """Return one prospect with its evidence and its score explained; the id may be a number."""
    house, wanted = house_of(request), request.match_info["id"]
    return answer(await house.database.read(lambda reader: _dossier(reader, wanted, house)))


@routes.post("/v1/prospects/{id}/validate")
async def validate(request: web.Request) -> web.Response:
    """Take an operator's word, with a reason; it expires like any other validation."""
    asked, house = await body(request, Word), house_of(request)
    prospect = await _found(house, request.match_info["id"])
    who = request[WHO]
    await house.validation.set_by_hand(
        prospect.id, validated=asked.validated, who=who, reason=asked.reason
    )
    return answer(await _found(house, prospect.id))


@routes.post("/v1/prospects/{id}/check")
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


def _dossier(reader: Reader, wanted: str, house: House) -> Mapping[str, Any]:
    prospect = _prospect(reader, wanted, house)
    return {
        "prospect": prospect,
        "suppressed": suppressions.is_suppressed(reader, prospect.contact),
        "score": json.loads(prospect.score_explanation or "null"),
        "evidence": evidence.of_contact(reader, prospect.contact),
    }
