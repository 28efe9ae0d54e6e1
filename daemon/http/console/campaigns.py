"""The pages of campaigns: the list, a draft with audience and dry run, and one that was started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.auth.identity import Scope
from daemon.campaigns.audience import list_audience
from daemon.campaigns.dry_runs import DryRunView
from daemon.campaigns.service import AudienceCounts, CampaignView
from daemon.contacts.prospect_filters import describe_filter, parse_filter
from daemon.errors import BadRequest, NotFound
from daemon.http.authentication import get_identity
from daemon.http.bodies import PageQuery, RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.saved_filters import ChosenFilterQuery
from daemon.http.health import get_services
from daemon.http.v1.campaigns import may_read_prospects, restrict_campaign, restrict_dry_run
from daemon.outbox.message_check import SendOutlook
from statemachines.campaign import CampaignPersonState, CampaignState
from storage import campaigns, imports, saved_filters, texts
from storage.campaign_reports import CampaignStage
from storage.imports import ImportRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

AudienceGroup: TypeAlias = Literal[
    "all",
    "left_out",
    "suppressed",
    "conversation",
    "opted_in",
    "relationship",
    "public_source",
    "none",
    "refused",
]
"""Everybody, who is apart, and each permission."""
CONTROLS: Final = ("pause", "resume", "cancel")
_LIST_SIZE: Final = 100


class AudiencePeopleQuery(RequestQuery, frozen=True):
    """The people of which count of the audience are listed, from which place on."""

    group: AudienceGroup = "all"
    after: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0


class DryRunGroupQuery(PageQuery, frozen=True):
    """The people of which number of a dry run are listed."""

    outlook: SendOutlook | None = None
    reason_code: Annotated[str, msgspec.Meta(max_length=100)] = ""


class CampaignNamesQuery(RequestQuery, frozen=True):
    """The people of which state, or of which stage of the funnel, are listed."""

    state: CampaignPersonState | None = None
    stage: CampaignStage | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)] = 0


class CampaignAudience(Struct, frozen=True):
    """Who a draft is for: exact counts, or why there are none."""

    counts: AudienceCounts | None
    problem: str


class AudiencePerson(Struct, frozen=True):
    """A person of an audience; `left_out` is by hand."""

    prospect: ProspectRecord
    suppressed: bool
    left_out: bool


@routes.get("/campaigns")
@render_errors
async def show_campaigns(request: web.Request) -> web.StreamResponse:
    """Show all campaigns, the newest first."""
    found = await get_services(request).campaigns.list_campaigns(limit=_LIST_SIZE)
    return await render_page(request, "campaigns.html", active_page="campaigns", found=found)


@routes.get("/pieces/campaigns/new")
@render_errors
async def show_new_campaign_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks for the name of a new campaign, and for its saved filter."""
    get_identity(request).require(Scope.PROSPECTS_READ)  # what the filters search for
    chosen = read_query(request, ChosenFilterQuery).saved_filter
    saved = await get_services(request).database.read(saved_filters.list_saved_filters)
    return render_piece(request, "pieces/new_campaign.html", saved=saved, chosen=chosen)


@routes.get("/campaigns/{id}")
@render_errors
async def show_campaign(request: web.Request) -> web.StreamResponse:
    """Show a draft with its four blocks, or a campaign that was started."""
    services, view = get_services(request), await _load(request)
    values: dict[str, Any] = {
        "view": view,
        "sentence": await _describe_audience(request, view),
        "dry_run": await _find_dry_run(request),
    }
    if view.campaign.state is not CampaignState.DRAFT:
        values |= await _load_live(request, view)
        return await render_page(request, "campaign.html", active_page="campaigns", **values)

    may_read_filters = may_read_prospects(request)

    def read(reader: Reader) -> dict[str, Any]:
        saved = saved_filters.list_saved_filters(reader) if may_read_filters else []
        return {
            "texts": texts.list_newest_approved(reader),
            "saved": saved,
            "imports": _list_import_choices(
                reader, [view.campaign.audience, *(each.filter for each in saved)]
            ),
        }

    values |= await services.database.read(read)
    return await render_page(
        request,
        "campaign_draft.html",
        active_page="campaigns",
        sessions=services.sessions.views(),
        audience=await _count_audience(request),
        **values,
    )


@routes.get("/pieces/campaigns/{id}/audience")
@render_errors
async def show_audience(request: web.Request) -> web.StreamResponse:
    """Show who a draft is for, to be refreshed."""
    view = await _load(request)
    return render_piece(
        request,
        "pieces/campaign_audience.html",
        view=view,
        sentence=await _describe_audience(request, view),
        audience=await _count_audience(request),
    )


@routes.get("/pieces/campaigns/{id}/audience/people")
@render_errors
async def show_audience_people(request: web.Request) -> web.StreamResponse:
    """Show the names behind a count of the audience."""
    query, services = read_query(request, AudiencePeopleQuery), get_services(request)
    view, now = await _load(request), build_page_context(request).now
    region = services.settings.daemon.default_region

    def read(reader: Reader) -> list[AudiencePerson]:
        left_out = set(campaigns.list_exclusions(reader, view.campaign.id))
        found = list_audience(reader, view.campaign.audience, now, region)
        return [
            AudiencePerson(each.prospect, each.suppressed, each.prospect.id in left_out)
            for each in found
        ]

    people = [
        each for each in await services.database.read(read) if _is_in_group(each, query.group)
    ]
    end = query.after + _LIST_SIZE
    return render_piece(
        request,
        "pieces/campaign_audience_people.html",
        view=view,
        people=people[query.after : end],
        group=query.group,
        next=end if len(people) > end else 0,
    )


@routes.get("/pieces/campaigns/{id}/dry-run")
@render_errors
async def show_dry_run(request: web.Request) -> web.StreamResponse:
    """Show the latest dry run with its start, to be refreshed."""
    view, dry_run = await _load(request), await _find_dry_run(request)
    return render_piece(request, "pieces/campaign_dry_run.html", view=view, dry_run=dry_run)


@routes.get("/pieces/campaigns/{id}/dry-run/people")
@render_errors
async def show_dry_run_people(request: web.Request) -> web.StreamResponse:
    """Show the names behind a number of the dry run."""
    query, id_ = read_query(request, DryRunGroupQuery), request.match_info["id"]
    found = await get_services(request).dry_runs.list_people(
        id_,
        outlook=query.outlook or "",
        reason_code=query.reason_code,
        after=query.after,
        limit=_LIST_SIZE + 1,
    )
    more = len(found) > _LIST_SIZE
    return render_piece(
        request,
        "pieces/campaign_dry_run_people.html",
        id=id_,
        query=query,
        people=found[:_LIST_SIZE],
        next=found[_LIST_SIZE - 1].prospect if more else "",
    )


@routes.get("/pieces/campaigns/{id}/live")
@render_errors
async def show_live_campaign(request: web.Request) -> web.StreamResponse:
    """Show how far a campaign is, to be refreshed."""
    view = await _load(request)
    values = await _load_live(request, view)
    return render_piece(request, "pieces/campaign_live.html", view=view, **values)


@routes.get("/pieces/campaigns/{id}/people")
@render_errors
async def show_campaign_people(request: web.Request) -> web.StreamResponse:
    """Show the names behind a number of a campaign that was started."""
    query, id_ = read_query(request, CampaignNamesQuery), request.match_info["id"]
    found = await get_services(request).campaign_reports.list_people(
        id_, state=query.state, stage=query.stage, after=query.after, limit=_LIST_SIZE + 1
    )
    more = len(found) > _LIST_SIZE
    return render_piece(
        request,
        "pieces/campaign_people.html",
        id=id_,
        query=query,
        people=found[:_LIST_SIZE],
        next=found[_LIST_SIZE - 1].place if more else 0,
    )


@routes.get("/pieces/campaigns/{id}/control/{action}")
@render_errors
async def show_control_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that pauses, resumes or cancels a campaign, with its consequence."""
    action = request.match_info["action"]
    if action not in CONTROLS:
        raise NotFound(f"There is nothing to {action} about a campaign.")
    view = await _load(request)
    return render_piece(request, "pieces/campaign_control.html", view=view, action=action)


async def _load(request: web.Request) -> CampaignView:
    view = await get_services(request).campaigns.get(request.match_info["id"])
    return restrict_campaign(request, view)


async def _load_live(request: web.Request, view: CampaignView) -> dict[str, Any]:
    """Return the funnel, and how many people the filter finds who are not in it yet."""
    services, id_ = get_services(request), view.campaign.id
    started = view.campaign.state in {CampaignState.RUNNING, CampaignState.PAUSED}
    audience = await _count_audience(request) if started else None
    counts = audience.counts if audience else None
    return {
        "stages": await services.campaign_reports.count_stages(id_),
        "new": counts.new if counts else 0,
    }


async def _count_audience(request: web.Request) -> CampaignAudience:
    try:
        counts = await get_services(request).campaigns.count_audience(request.match_info["id"])
    except BadRequest as error:  # more people than a campaign may be for
        return CampaignAudience(None, str(error))
    return CampaignAudience(counts, "")


async def _find_dry_run(request: web.Request) -> DryRunView | None:
    try:
        found = await get_services(request).dry_runs.get(request.match_info["id"])
    except NotFound:
        return None
    return restrict_dry_run(request, found)


async def _describe_audience(request: web.Request, view: CampaignView) -> str:
    """Return the filter of a campaign as a sentence, or that it is not shown."""
    chosen, words = parse_filter(view.campaign.audience), build_page_context(request).words
    if not may_read_prospects(request):
        return words("campaigns.filter_withheld")
    return await get_services(request).database.read(
        lambda reader: describe_filter(reader, chosen, words)
    )


def _list_import_choices(
    reader: Reader, filters: Sequence[Mapping[str, str]]
) -> list[ImportRecord]:
    """Return the latest imports, and those that one of the filters names."""
    latest = [each.record for each in imports.list_imports(reader)]
    known = {each.id for each in latest}
    named = sorted({each.get("import_id", "") for each in filters} - known)
    older = (imports.get_import(reader, each) for each in named)
    return [*latest, *(each for each in older if each)]


def _is_in_group(person: AudiencePerson, group: AudienceGroup) -> bool:
    """Return whether a person counts in a group; each counts in one, as in the counts."""
    if group == "all":
        return True
    if person.left_out or group == "left_out":
        return person.left_out and group == "left_out"
    if person.suppressed or group == "suppressed":
        return person.suppressed and group == "suppressed"
    return person.prospect.permission == group
