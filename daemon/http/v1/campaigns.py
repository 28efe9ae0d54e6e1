"""`/v1/campaigns`: drafts of campaigns by hand, their dry runs, start, pause and working off."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from daemon.auth.identity import Scope
from daemon.campaigns.dry_runs import DryRunMoved, DryRunView, withhold_names
from daemon.campaigns.service import (
    MAX_NAME_LENGTH,
    AudienceCounts,
    CampaignChange,
    CampaignView,
    withhold_searched_text,
)
from daemon.campaigns.working import CampaignTurn
from daemon.contacts.prospect_filters import ProspectFilter
from daemon.errors import Conflict, NotAllowed, NotFound
from daemon.http.authentication import ACTOR, get_identity
from daemon.http.bodies import (
    PageQuery,
    ReasonBody,
    ReasonText,
    RequestBody,
    ResponseBody,
    ResultPage,
    check_year,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.streaming import no_time_limit
from daemon.http.v1.enqueue import ZonedDateTime
from daemon.outbox.enqueue import MAX_TEXT_LENGTH
from daemon.outbox.message_check import SendOutlook
from storage.campaign_people import CampaignPerson
from storage.dry_runs import ListedDryRunPerson

routes = web.RouteTableDef()

_Id = Annotated[str, msgspec.Meta(max_length=64)]
_Ids = Annotated[list[_Id], msgspec.Meta(max_length=1000)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
_Words = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)]
_Version = Annotated[int, msgspec.Meta(ge=1, le=999_999_999)]
_SavedFilter = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Hash = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class CampaignFields(RequestBody, frozen=True, kw_only=True):
    """What a draft consists of besides its name.

    `session` is the one whose phone writes. `text` is a template with its `text_version`, the
    latest if none is named; without one, everybody gets `typed`. `audience` is a filter of
    prospects; `saved_filter`, an id or a name, takes the fields of one that is kept, as they are
    now. To set either needs `prospects:read`. `left_out` are the ids of those who are not to get
    it. `ends_at`: who was not written to by then expires.
    """

    session: _Id | None = None
    text: _Id | None = None
    text_version: _Version | None = None
    typed: _Words | None = None
    audience: ProspectFilter | None = None
    saved_filter: _SavedFilter | None = None
    left_out: _Ids | None = None
    ends_at: ZonedDateTime | None = None


class CampaignDraftBody(CampaignFields, frozen=True, kw_only=True):
    """What is changed of a draft: what is left out stays, and an empty text takes it out."""

    name: _Name | None = None


class NewCampaignBody(CampaignFields, frozen=True, kw_only=True):
    """A new draft: its name, and whatever else is known already."""

    name: _Name


class CampaignStartBody(RequestBody, frozen=True):
    """The hash of the dry run whose counts a person has seen, and why it starts."""

    hash: _Hash
    reason: ReasonText


class DryRunPeopleQuery(PageQuery, frozen=True):
    """The people of which number of the dry run to list; without a field, all of them."""

    outlook: SendOutlook | None = None
    reason_code: Annotated[str, msgspec.Meta(max_length=100)] = ""


class CampaignChatLink(ResponseBody, frozen=True):
    """The link that opens the chat with the text filled in, and the message that it is of."""

    message: str
    link: str


@routes.get("/v1/campaigns")
@operation(ResultPage[CampaignView], query=PageQuery)
async def list_campaigns(request: web.Request) -> web.Response:
    """Return campaigns, the newest first."""
    query = read_query(request, PageQuery)
    found = await get_services(request).campaigns.list_campaigns(
        after=query.after, limit=query.limit + 1
    )
    shown = [restrict_campaign(request, each) for each in found]
    return page_response(shown, query.limit, lambda view: view.campaign.id)


@routes.post("/v1/campaigns")
@operation(CampaignView, status=201, body=NewCampaignBody, errors=(NotFound, Conflict))
async def create_campaign(request: web.Request) -> web.Response:
    """Store a draft as it is typed; 409 where a campaign has this name."""
    body = await read_body(request, NewCampaignBody)
    change = _build_change(request, body)
    made = await get_services(request).campaigns.create(change, request[ACTOR])
    return json_response(restrict_campaign(request, made), status=201)


@routes.get("/v1/campaigns/{id}")
@operation(CampaignView, errors=(NotFound,))
async def get_campaign(request: web.Request) -> web.Response:
    """Return a campaign with how many people are in each state.

    Without `prospects:read` the words that its filter searches for are left out, here and in every
    other answer with a campaign: `withheld` says so.
    """
    found = await get_services(request).campaigns.get(request.match_info["id"])
    return json_response(restrict_campaign(request, found))


@routes.patch("/v1/campaigns/{id}")
@operation(CampaignView, body=CampaignDraftBody, errors=(NotFound, Conflict))
async def change_campaign(request: web.Request) -> web.Response:
    """Change a draft; 409 once it was started."""
    body = await read_body(request, CampaignDraftBody)
    changed = await get_services(request).campaigns.change(
        request.match_info["id"], _build_change(request, body), request[ACTOR]
    )
    return json_response(restrict_campaign(request, changed))


@routes.get("/v1/campaigns/{id}/audience")
@operation(AudienceCounts, errors=(NotFound,))
async def count_campaign_audience(request: web.Request) -> web.Response:
    """Return who the filter finds now, by permission; those who opted out count apart."""
    counts = await get_services(request).campaigns.count_audience(request.match_info["id"])
    return json_response(counts)


@routes.post("/v1/campaigns/{id}/dry-run")
@operation(DryRunView, errors=(NotFound, Conflict))
@no_time_limit
async def make_dry_run(request: web.Request) -> web.Response:
    """Judge everybody as a send by hand would, and send nothing.

    Of a campaign that was started, these are the people that it does not have yet. Without
    `prospects:read` the names of who moved are left out: `withheld` says so.
    """
    made = await get_services(request).dry_runs.run(request.match_info["id"], request[ACTOR])
    return json_response(restrict_dry_run(request, made))


@routes.get("/v1/campaigns/{id}/dry-run")
@operation(DryRunView, errors=(NotFound,))
async def get_dry_run(request: web.Request) -> web.Response:
    """Return the latest dry run, whether it holds still, and who moved since the one before."""
    return json_response(await get_services(request).dry_runs.get(request.match_info["id"]))


@routes.get("/v1/campaigns/{id}/dry-run/people")
@operation(ResultPage[ListedDryRunPerson], query=DryRunPeopleQuery, errors=(NotFound,))
async def list_dry_run_people(request: web.Request) -> web.Response:
    """Return the people behind a number of the latest dry run: why, and what would change it."""
    query = read_query(request, DryRunPeopleQuery)
    found = await get_services(request).dry_runs.list_people(
        request.match_info["id"],
        outlook=query.outlook or "",
        reason_code=query.reason_code,
        after=query.after,
        limit=query.limit + 1,
    )
    return page_response(found, query.limit, lambda person: person.prospect)


@routes.post("/v1/campaigns/{id}/start")
@operation(CampaignView, body=CampaignStartBody, errors=(NotFound, Conflict, DryRunMoved))
@no_time_limit
async def start_campaign(request: web.Request) -> web.Response:
    """Start a campaign by the counts of its dry run, or add its new people.

    Everybody is judged again; where somebody moved, nothing is started and the new dry run says who
    did (409 `dry_run_moved`), to a caller with `prospects:read`.
    """
    body = await read_body(request, CampaignStartBody)
    try:
        started = await get_services(request).campaigns.start(
            request.match_info["id"], body.hash, request[ACTOR], body.reason
        )
    except DryRunMoved as moved:
        raise moved if may_read_prospects(request) else moved.withhold_names() from None
    return json_response(restrict_campaign(request, started))


@routes.post("/v1/campaigns/{id}/pause")
@operation(CampaignView, body=ReasonBody, errors=(NotFound, Conflict))
async def pause_campaign(request: web.Request) -> web.Response:
    """Pause a campaign at once: no link is shown any more until a person resumes it."""
    body = await read_body(request, ReasonBody)
    paused = await get_services(request).campaigns.pause(
        request.match_info["id"], request[ACTOR], body.reason
    )
    return json_response(restrict_campaign(request, paused))


@routes.post("/v1/campaigns/{id}/resume")
@operation(CampaignView, body=ReasonBody, errors=(NotFound, Conflict))
async def resume_campaign(request: web.Request) -> web.Response:
    """Resume a paused campaign where it stopped; 409 while the breaker stops its number."""
    body = await read_body(request, ReasonBody)
    resumed = await get_services(request).campaigns.resume(
        request.match_info["id"], request[ACTOR], body.reason
    )
    return json_response(restrict_campaign(request, resumed))


@routes.post("/v1/campaigns/{id}/cancel")
@operation(CampaignView, body=ReasonBody, errors=(NotFound, Conflict))
async def cancel_campaign(request: web.Request) -> web.Response:
    """End a campaign early: nobody else gets anything. It can't be resumed."""
    body = await read_body(request, ReasonBody)
    cancelled = await get_services(request).campaigns.cancel(
        request.match_info["id"], request[ACTOR], body.reason
    )
    return json_response(restrict_campaign(request, cancelled))


@routes.post("/v1/campaigns/{id}/next")
@operation(CampaignTurn, errors=(NotFound, Conflict))
async def take_next_person(request: web.Request) -> web.Response:
    """Return whose turn it is, taken for this operator: the same person until they are finished.

    The gate has allowed the message. `person` is null where it is nobody's turn, and `sentence`
    says why.
    """
    turn = await get_services(request).campaign_work.take_next(
        request.match_info["id"], request[ACTOR]
    )
    return json_response(turn)


@routes.post("/v1/campaigns/{id}/people/{prospect}/open")
@operation(CampaignChatLink, errors=(NotFound, Conflict, NotAllowed))
async def open_campaign_chat(request: web.Request) -> web.Response:
    """Return the link that opens the chat with the text; the message counts as perhaps sent."""
    message, link = await get_services(request).campaign_work.open_chat(
        *_read_place(request), request[ACTOR]
    )
    return json_response(CampaignChatLink(message, link))


@routes.post("/v1/campaigns/{id}/people/{prospect}/sent")
@operation(CampaignPerson, errors=(NotFound, Conflict, NotAllowed))
async def confirm_campaign_person(request: web.Request) -> web.Response:
    """Record that the operator sent the message."""
    work = get_services(request).campaign_work
    return json_response(await work.confirm(*_read_place(request), request[ACTOR]))


@routes.post("/v1/campaigns/{id}/people/{prospect}/skip")
@operation(CampaignPerson, body=ReasonBody, errors=(NotFound, Conflict, NotAllowed))
async def skip_campaign_person(request: web.Request) -> web.Response:
    """Leave somebody out, with a reason; they get nothing in this campaign any more."""
    body = await read_body(request, ReasonBody)
    work = get_services(request).campaign_work
    return json_response(await work.skip(*_read_place(request), request[ACTOR], body.reason))


@routes.post("/v1/campaigns/{id}/people/{prospect}/return")
@operation(CampaignPerson, errors=(NotFound, Conflict, NotAllowed))
async def return_campaign_person(request: web.Request) -> web.Response:
    """Put somebody back whose link was not shown; any operator may have them next."""
    work = get_services(request).campaign_work
    return json_response(await work.put_back(*_read_place(request), request[ACTOR]))


def restrict_campaign(request: web.Request, view: CampaignView) -> CampaignView:
    """Return a campaign as the caller may read it: the words of a filter are of prospects."""
    return view if may_read_prospects(request) else withhold_searched_text(view)


def restrict_dry_run(request: web.Request, view: DryRunView) -> DryRunView:
    """Return a dry run as the caller may read it: the names in it are of prospects."""
    return view if may_read_prospects(request) else withhold_names(view)


def may_read_prospects(request: web.Request) -> bool:
    """Return whether the caller may read prospects: names, and the words of filters."""
    return Scope.PROSPECTS_READ in get_identity(request).scopes


def _read_place(request: web.Request) -> tuple[str, str]:
    return request.match_info["id"], request.match_info["prospect"]


def _build_change(
    request: web.Request, body: CampaignDraftBody | NewCampaignBody
) -> CampaignChange:
    check_year("ends_at", body.ends_at)
    if body.audience is not None or body.saved_filter is not None:  # as to read a filter
        get_identity(request).require(Scope.PROSPECTS_READ)
    return CampaignChange(
        name=body.name,
        session=body.session,
        text=body.text,
        text_version=body.text_version,
        typed=body.typed,
        audience=body.audience,
        saved_filter=body.saved_filter,
        left_out=body.left_out,
        ends_at=body.ends_at,
    )
