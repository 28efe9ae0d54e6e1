"""`/v1/prospects/selection`: one action on many prospects, ticked or all that a filter finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.contacts.consents import ConsentInput, ConsentMethod
from daemon.contacts.prospect_filters import ProspectFilter, find_prospects
from daemon.errors import Conflict
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonText, RequestBody, ResponseBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import CSV, operation
from daemon.http.v1.exports import build_csv_headers, format_prospects
from daemon.http.v1.selection_actions import (
    MAX_NAMED,
    MAX_SELECTED,
    SelectedIds,
    SelectedText,
    SelectionResult,
    act_on_selection,
    hash_selection,
    require_few,
    require_one_choice,
    require_same_selection,
)
from daemon.services import Services
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource

routes = web.RouteTableDef()

_Proof = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ProspectSelectionBody(RequestBody, frozen=True):
    """Some prospects by their ids, or all that a filter finds: one of the two."""

    ids: SelectedIds | None = None
    filter: ProspectFilter | None = None


class SelectedBody(ProspectSelectionBody, frozen=True, kw_only=True):
    """A selection as it was answered: an action is refused if it would be about others now."""

    hash: SelectedText


class SelectedReasonBody(SelectedBody, frozen=True, kw_only=True):
    """A selection, and why something is done about it."""

    reason: ReasonText


class SelectedConsentBody(SelectedBody, frozen=True, kw_only=True):
    """A selection of people who agreed, each in the same way; as for one prospect."""

    how: ConsentMethod
    when: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    heard_by: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    words: _Proof


class ProspectSelection(ResponseBody, frozen=True):
    """How many people a selection is, the names of the first five, and its hash."""

    count: int
    names: Sequence[str]
    hash: str


@routes.post("/v1/prospects/selection")
@operation(ProspectSelection, body=ProspectSelectionBody)
async def select_prospects(request: web.Request) -> web.Response:
    """Return how many people a selection is, and who; its hash goes with each action on it."""
    asked = await read_body(request, ProspectSelectionBody)
    found = await _load(get_services(request), asked)
    names = [each.name or each.phone for each in found[:MAX_NAMED]]
    return json_response(
        ProspectSelection(len(found), names, hash_selection(each.id for each in found))
    )


@routes.post("/v1/prospects/selection/check")
@operation(SelectionResult, body=SelectedBody, errors=(Conflict,))
async def check_selection(request: web.Request) -> web.Response:
    """Ask WhatsApp about each number, as far as the budget of checks goes."""
    asked, services = await read_body(request, SelectedBody), get_services(request)

    async def check(prospect: ProspectRecord) -> object:
        return await services.validation.check(prospect.id, request[ACTOR])

    return await _act(services, asked, check)


@routes.post("/v1/prospects/selection/validate")
@operation(SelectionResult, body=SelectedReasonBody, errors=(Conflict,))
async def validate_selection(request: web.Request) -> web.Response:
    """Validate each number by hand, with the reason of the operator."""
    asked, services = await read_body(request, SelectedReasonBody), get_services(request)
    who = request[ACTOR]

    async def validate(prospect: ProspectRecord) -> None:
        await services.validation.set_by_hand(
            prospect.id, validated=True, who=who, reason=asked.reason
        )

    return await _act(services, asked, validate)


@routes.post("/v1/prospects/selection/consent")
@operation(SelectionResult, body=SelectedConsentBody, errors=(Conflict,))
async def record_selection_consent(request: web.Request) -> web.Response:
    """Record that each of them agreed; who opted out or said no is named, and left out."""
    asked, services = await read_body(request, SelectedConsentBody), get_services(request)
    consent = ConsentInput(
        how=asked.how, when=asked.when, heard_by=asked.heard_by, words=asked.words
    )

    async def record(prospect: ProspectRecord) -> object:
        return await services.consents.record_consent(prospect.id, consent, request[ACTOR])

    return await _act(services, asked, record)


@routes.post("/v1/prospects/selection/suppress")
@operation(SelectionResult, body=SelectedReasonBody, errors=(Conflict,))
async def suppress_selection(request: web.Request) -> web.Response:
    """Suppress each of them, and cancel what waits for them."""
    asked, services = await read_body(request, SelectedReasonBody), get_services(request)
    source, who = SuppressionSource.OPERATOR, request[ACTOR]

    async def suppress(prospect: ProspectRecord) -> object:
        return await services.suppression.suppress(
            prospect.contact, source=source, reason=asked.reason, who=who
        )

    return await _act(services, asked, suppress)


@routes.post("/v1/prospects/selection/export")
@operation(str, body=SelectedBody, media_types=(CSV,), errors=(Conflict,))
async def export_selection(request: web.Request) -> web.Response:
    """Return the people of a selection as CSV in UTF-8, as `GET /v1/exports/prospects.csv` does."""
    asked, services = await read_body(request, SelectedBody), get_services(request)
    found = await _load(services, asked)
    require_same_selection([each.id for each in found], asked.hash)
    text = await format_prospects(services, sorted(found, key=lambda each: each.id))
    return web.Response(body=text.encode(), headers=build_csv_headers("prospects.csv"))


async def _act(
    services: Services,
    asked: SelectedBody,
    do: Callable[[ProspectRecord], Awaitable[object]],
) -> web.Response:
    found = await _load(services, asked)
    return await act_on_selection(found, asked.hash, do, lambda each: each.name or each.phone)


async def _load(services: Services, asked: ProspectSelectionBody) -> list[ProspectRecord]:
    """Return the people of a selection, the newest first."""
    require_one_choice(asked.ids, asked.filter)
    wanted, now = asked.filter or ProspectFilter(), services.clock.now()
    region = services.settings.daemon.default_region
    found = await services.database.read(
        lambda reader: find_prospects(
            reader, wanted, now, region, ids=asked.ids, limit=MAX_SELECTED + 1
        )
    )
    require_few(len(found))
    return [entry.prospect for entry in found]
