"""The page on which a campaign is worked off, one person after another, and its report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.api import numbers
from daemon.campaigns.pace import read_pace
from daemon.campaigns.service import CampaignView
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from statemachines.campaign import CampaignPersonState
from storage import campaign_people, prospects
from storage.campaign_people import CampaignPerson
from storage.evaluation_context import read_session_context
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

_IN_HAND: Final = (CampaignPersonState.OPENED, CampaignPersonState.CLAIMED)
_COMPARED_WITH: Final = 200
_SHOWN_LEFT: Final = timedelta(minutes=15)
_MAX_CLAIMED: Final = 200


class CampaignDesk(Struct, frozen=True):
    """What one operator has in hand: a person with the text, and the budgets that are left.

    `left` are people who opted out while this operator had them. `sentence` says why it is nobody's
    turn, until `at` if that is known. `link` opens the chat, once it was opened here.
    """

    view: CampaignView
    person: CampaignPerson | None
    prospect: ProspectRecord | None
    link: str
    left: Sequence[CampaignPerson]
    per_day: int
    left_today: int
    sentence: str
    at: datetime | None


@routes.get("/campaigns/{id}/work")
@render_errors
async def show_work(request: web.Request) -> web.StreamResponse:
    """Show the page; nobody is taken by that."""
    desk = await _load_desk(request)
    return await render_page(request, "campaign_work.html", active_page="campaigns", desk=desk)


@routes.get("/pieces/campaigns/{id}/work")
@render_errors
async def show_work_piece(request: web.Request) -> web.StreamResponse:
    """Show what the operator has in hand, to be refreshed."""
    return render_piece(request, "pieces/campaign_work.html", desk=await _load_desk(request))


@routes.post("/pieces/campaigns/{id}/next")
@render_errors
async def take_next_piece(request: web.Request) -> web.StreamResponse:
    """Take whose turn it is, and show them, or why it is nobody's."""
    turn = await get_services(request).campaign_work.take_next(
        request.match_info["id"], request[ACTOR]
    )
    desk = await _load_desk(request, turn.sentence, turn.at)
    return render_piece(request, "pieces/campaign_work.html", desk=desk)


@routes.get("/pieces/campaigns/{id}/people/{prospect}/skip")
@render_errors
async def show_skip_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks why a person is skipped."""
    place, work = request.match_info, get_services(request).campaign_work
    person = await work.require_person(place["id"], place["prospect"])
    return render_piece(
        request, "pieces/campaign_skip.html", id=person.campaign, prospect=person.prospect
    )


class CampaignReportQuery(RequestQuery, frozen=True):
    """The campaign that another one is compared with, if any."""

    other: Annotated[str, msgspec.Meta(max_length=64)] = ""


@routes.get("/campaigns/{id}/report")
@render_errors
async def show_report(request: web.Request) -> web.StreamResponse:
    """Show what came of a campaign, and how sure that is; beside another one, if asked for."""
    services, id_ = get_services(request), request.match_info["id"]
    other = read_query(request, CampaignReportQuery).other
    view, reports = await services.campaigns.get(id_), services.campaign_reports
    listed = await services.campaigns.list_campaigns(limit=_COMPARED_WITH)
    others = [each for each in listed if each.campaign.started_at and each.campaign.id != id_]
    return await render_page(
        request,
        "campaign_report.html",
        active_page="campaigns",
        view=view,
        report=await reports.build_report(id_),
        others=others,
        comparison=await reports.compare(id_, other) if other else None,
    )


async def _load_desk(
    request: web.Request, sentence: str = "", at: datetime | None = None
) -> CampaignDesk:
    services, id_, who = get_services(request), request.match_info["id"], request[ACTOR]
    view, now = await services.campaigns.get(id_), build_page_context(request).now

    def read(reader: Reader) -> CampaignDesk:
        person = find_person_in_hand(reader, id_, who)
        per_day = left_today = 0
        if view.campaign.session is not None:
            session = read_session_context(reader, view.campaign.session, now)
            per_day, left_today = read_pace(reader, services.pacing, session, now)
        opened = person is not None and person.state is CampaignPersonState.OPENED
        return CampaignDesk(
            view=view,
            person=person,
            prospect=prospects.get_prospect(reader, person.prospect) if person else None,
            link=numbers.build_wa_link(person.phone, person.text) if person and opened else "",
            left=campaign_people.list_withdrawn_people(reader, id_, who, since=now - _SHOWN_LEFT),
            per_day=per_day,
            left_today=left_today,
            sentence=sentence,
            at=at,
        )

    return await services.database.read(read)


def find_person_in_hand(reader: Reader, id_: str, who: str) -> CampaignPerson | None:
    """Return the person whose chat an operator has opened, or else the one they have taken."""
    found = campaign_people.list_campaign_people(
        reader, id_, states=list(_IN_HAND), condition="TRUE", after=0, limit=_MAX_CLAIMED
    )
    mine = [each for each in found if each.claimed_by == who and each.message]
    return min(mine, key=lambda each: _IN_HAND.index(each.state), default=None)
