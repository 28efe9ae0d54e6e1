"""`/v1/prospects/selection`: one action on many prospects, ticked or all that a filter finds."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.contacts.aliases import list_searched_spellings
from daemon.contacts.consents import ConsentInput, ConsentMethod
from daemon.errors import BadRequest, Conflict, LeadMasterError
from daemon.gate.consent import Permission
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonText, RequestBody, ResponseBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.services import Services
from statemachines.prospect import ValidationState
from storage import prospect_search
from storage.errors import StorageError
from storage.prospects import ProspectRecord
from storage.suppressions import SuppressionSource

routes = web.RouteTableDef()

MAX_SELECTED: Final = 1000
"""How many people one action may be about."""
_NAMED: Final = 5
_MAX_REFUSALS: Final = 100
_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Proof = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Ids = Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=MAX_SELECTED)]


class ProspectFilter(RequestBody, frozen=True):
    """What the list of prospects is filtered by; without any field, all of them."""

    text: _Text = ""
    validation: ValidationState | None = None
    permission: Permission | None = None
    import_id: _Text = ""


class ProspectSelectionBody(RequestBody, frozen=True):
    """Some prospects by their ids, or all that a filter finds: one of the two."""

    ids: _Ids | None = None
    filter: ProspectFilter | None = None


class SelectedBody(ProspectSelectionBody, frozen=True, kw_only=True):
    """A selection as it was answered: an action is refused if it would be about others now."""

    hash: _Text


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


class SelectionRefusal(ResponseBody, frozen=True):
    """A person who was left out, and why."""

    id: str
    name: str
    sentence: str


class SelectionResult(ResponseBody, frozen=True):
    """For how many it was done, for how many not, and the first hundred of these."""

    done: int
    refused: int
    refusals: Sequence[SelectionRefusal]


@routes.post("/v1/prospects/selection")
@operation(ProspectSelection, body=ProspectSelectionBody)
async def select_prospects(request: web.Request) -> web.Response:
    """Return how many people a selection is, and who; its hash goes with each action on it."""
    asked = await read_body(request, ProspectSelectionBody)
    found = await _load(get_services(request), asked)
    names = [each.name or each.phone for each in found[:_NAMED]]
    return json_response(ProspectSelection(len(found), names, _hash(found)))


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


async def _act(
    services: Services,
    asked: SelectedBody,
    do: Callable[[ProspectRecord], Awaitable[object]],
) -> web.Response:
    """Do something about everybody in a selection; nothing where it is another one by now."""
    found = await _load(services, asked)
    if _hash(found) != asked.hash:
        raise Conflict(
            f"The selection has changed: it is {len(found)} people now. Nothing was done.",
            hint="Select them again.",
        )
    refusals: list[SelectionRefusal] = []
    for prospect in found:
        try:
            await do(prospect)
        except (LeadMasterError, StorageError) as error:
            name = prospect.name or prospect.phone
            refusals.append(SelectionRefusal(prospect.id, name, str(error)))
    return json_response(
        SelectionResult(len(found) - len(refusals), len(refusals), refusals[:_MAX_REFUSALS])
    )


async def _load(services: Services, asked: ProspectSelectionBody) -> list[ProspectRecord]:
    """Return the people of a selection, the newest first."""
    if (asked.ids is None) is (asked.filter is None):
        raise BadRequest("Give ids or filter: one of the two.")
    wanted, now = asked.filter or ProspectFilter(), services.clock.now()
    region = services.settings.daemon.default_region
    found = await services.database.read(
        lambda reader: prospect_search.search_prospect_directory(
            reader,
            now=now,
            text=wanted.text.strip(),
            numbers=list_searched_spellings(wanted.text, region),
            validation=wanted.validation or "",
            permission=wanted.permission or "",
            import_=wanted.import_id,
            ids=asked.ids,
            limit=MAX_SELECTED + 1,
        )
    )
    if len(found) > MAX_SELECTED:
        raise BadRequest(
            f"These are more than {MAX_SELECTED} people.", hint="Narrow the filter first."
        )
    return [entry.prospect for entry in found]


def _hash(found: Sequence[ProspectRecord]) -> str:
    """Return a hash of who is selected."""
    return hashlib.sha256("\n".join(sorted(each.id for each in found)).encode()).hexdigest()
