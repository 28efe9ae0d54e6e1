"""`/v1/campaigns/{id}`: a campaign's people, also as a list, its funnel and its report."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.campaigns.reports import CampaignComparison, CampaignReport
from daemon.errors import NotFound
from daemon.http.bodies import (
    PageLimit,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    page_response,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import CSV, XLSX, operation
from daemon.lists.csv_export import format_csv
from daemon.lists.xlsx_export import WORKBOOK_LIBRARY, Sheet, format_workbook
from statemachines.campaign import CampaignPersonState
from storage.campaign_people import CampaignPerson
from storage.campaign_reports import CampaignStage, ExportedCampaignPerson

routes = web.RouteTableDef()

_PAGE_SIZE: Final = 500
_TITLE: Final = "LeadMaster"
EXPORTED_COLUMNS: Final = (
    "prospect",
    "name",
    "phone",
    "state",
    "sentence",
    "operator",
    "opened_at",
    "template",
    "delivered",
    "read",
    "replied",
    "interested",
    "opted_out",
)


class CampaignPeopleQuery(RequestQuery, frozen=True):
    """Which people to list: of a state, or who reached a stage; `after` is the place of the last.

    Without either, everybody, in the order of their turns.
    """

    state: CampaignPersonState | None = None
    stage: CampaignStage | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=999_999_999)] = 0
    limit: PageLimit = 50


class CampaignFunnel(ResponseBody, frozen=True):
    """How many people reached each stage; each counts in all that they reached.

    `opted_out` are those who were written to and asked for no more messages afterwards.
    """

    queued: int
    allowed: int
    sent: int
    delivered: int
    read: int
    replied: int
    interested: int
    opted_out: int


@routes.get("/v1/campaigns/{id}/people")
@operation(ResultPage[CampaignPerson], query=CampaignPeopleQuery, errors=(NotFound,))
async def list_campaign_people(request: web.Request) -> web.Response:
    """Return the people of a campaign, or of one of its numbers."""
    query = read_query(request, CampaignPeopleQuery)
    found = await get_services(request).campaign_reports.list_people(
        request.match_info["id"],
        state=query.state,
        stage=query.stage,
        after=query.after,
        limit=query.limit + 1,
    )
    return page_response(found, query.limit, lambda person: str(person.place))


@routes.get("/v1/campaigns/{id}/funnel")
@operation(CampaignFunnel, errors=(NotFound,))
async def count_campaign_stages(request: web.Request) -> web.Response:
    """Return how far the people of a campaign came."""
    counts = await get_services(request).campaign_reports.count_stages(request.match_info["id"])
    return json_response(CampaignFunnel(**{stage.value: n for stage, n in counts.items()}))


@routes.get("/v1/campaigns/{id}/report")
@operation(CampaignReport, errors=(NotFound,))
async def get_campaign_report(request: web.Request) -> web.Response:
    """Return what came of it by text, rule, hour and phone, and why others got nothing.

    Shares have their 95 % interval; of fewer than 30 people there is none.
    """
    return json_response(
        await get_services(request).campaign_reports.build_report(request.match_info["id"])
    )


@routes.get("/v1/campaigns/{id}/compare/{other}")
@operation(CampaignComparison, errors=(NotFound,))
async def compare_campaigns(request: web.Request) -> web.Response:
    """Return two campaigns side by side, with what differed between them.

    Shares are of those who were written to; of fewer than 30 people there is none. A difference
    whose interval has 0 in it ranks neither campaign.
    """
    names = request.match_info
    return json_response(
        await get_services(request).campaign_reports.compare(names["id"], names["other"])
    )


@routes.get("/v1/campaigns/{id}/people.csv")
@operation(str, media_types=(CSV,), errors=(NotFound,))
async def export_campaign_people_csv(request: web.Request) -> web.Response:
    """Return the people of a campaign as CSV, with what became of each."""
    text = format_csv(await _read_rows(request))
    return web.Response(body=text.encode(), headers=_build_headers(f"{CSV}; charset=utf-8", "csv"))


@routes.get("/v1/campaigns/{id}/people.xlsx")
@operation(bytes, media_types=(XLSX,), errors=(NotFound,))
async def export_campaign_people_xlsx(request: web.Request) -> web.Response:
    """Return the people of a campaign as a workbook in which every cell is text."""
    rows = await _read_rows(request)
    await WORKBOOK_LIBRARY.ensure_loaded()
    sheet, now = Sheet(title=_TITLE, rows=rows), get_services(request).clock.now()
    content = await asyncio.to_thread(format_workbook, [sheet], title=_TITLE, at=now)
    return web.Response(body=content, headers=_build_headers(XLSX, "xlsx"))


async def _read_rows(request: web.Request) -> list[tuple[object, ...]]:
    """Return the header and a row for each person."""
    reports, id_ = get_services(request).campaign_reports, request.match_info["id"]
    rows: list[tuple[object, ...]] = [EXPORTED_COLUMNS]
    after = 0
    while found := await reports.list_exported_people(id_, after=after, limit=_PAGE_SIZE):
        rows += [tuple(_read_cell(each, name) for name in EXPORTED_COLUMNS) for each in found]
        after = found[-1].place
    return rows


def _read_cell(person: ExportedCampaignPerson, name: str) -> object:
    value: object = getattr(person, name)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _build_headers(media_type: str, ending: str) -> dict[str, str]:
    return {
        "Content-Type": media_type,
        "Content-Disposition": f'attachment; filename="people.{ending}"',
        # Personal data must not stay in a cache.
        "Cache-Control": "no-store",
    }
