"""The prospects pages: search, and one prospect with its score, its permission and its timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web
from msgspec import Struct

from daemon.contacts.consents import is_withdrawable
from daemon.contacts.prospect_filters import find_prospects
from daemon.errors import NotFound
from daemon.http.bodies import read_query
from daemon.http.console import evidence_view, timeline
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.outcomes import OUTCOME_KEYS, OutcomeView, build_outcome_view
from daemon.http.console.review_case import (
    ContactProfile,
    build_contact_profile,
    build_prospect_score_view,
)
from daemon.http.console.saved_filters import (
    FilterView,
    ProspectsPageQuery,
    apply_saved_filter,
    build_filter_view,
    choose_shown,
)
from daemon.http.console.timeline import TimelineEntry
from daemon.http.console.verdict_view import VerdictView
from daemon.http.health import get_services
from statemachines.prospect import CHECKABLE_STATES
from storage import evidence, imports, prospect_fields, prospects, saved_filters, suppressions
from storage.prospect_search import ProspectDirectoryEntry
from storage.prospects import ProspectRecord
from storage.suppressions import CORRECTABLE_SOURCES
from storage.tx import Reader

routes = web.RouteTableDef()


class WithdrawableItem(Struct, frozen=True):
    """A record that may be withdrawn: its number, and the key of its label."""

    record: int
    key: str
    at: datetime


class ProspectView(Struct, frozen=True):
    """All that is shown of one prospect.

    `correctable`: suppressed, and not by their own request; `checkable`: a check may start.
    `withdrawable`: the evidence that an operator may withdraw, newest first.
    `origin_in_words`: the answer of their import to who asks where their number is from; empty if
    there is none. `fields`: further data that lists had, by header.
    """

    prospect: ProspectRecord
    person: ContactProfile
    score: VerdictView | None
    timeline: list[TimelineEntry]
    correctable: bool
    checkable: bool
    withdrawable: list[WithdrawableItem]
    origin_in_words: str
    fields: dict[str, str]
    outcomes: OutcomeView


@routes.get("/prospects")
@render_errors
async def show_prospects_page(request: web.Request) -> web.StreamResponse:
    """Show prospects, newest first; a request by htmx (a search) gets the list alone."""
    asked, services = read_query(request, ProspectsPageQuery), get_services(request)
    region, page = services.settings.daemon.default_region, build_page_context(request)

    def read(
        reader: Reader,
    ) -> tuple[ProspectsPageQuery, FilterView, list[ProspectDirectoryEntry]]:
        query = apply_saved_filter(reader, asked, request.query)
        view = build_filter_view(reader, query, page.words, page.now, region)
        limit = query.limit + 1
        people = find_prospects(reader, query, page.now, region, after=query.after, limit=limit)
        return query, view, people

    query, view, found = await services.database.read(read)
    visible = found[: query.limit]
    values: dict[str, Any] = {
        "found": visible,
        "query": query,
        "filter": view,
        "next": visible[-1].prospect.id if len(found) > query.limit else "",
        "outcome_keys": OUTCOME_KEYS,
    }
    if "HX-Request" in request.headers:
        return render_piece(request, "pieces/prospect_list.html", **values)
    saved = await services.database.read(saved_filters.list_saved_filters)
    return await render_page(
        request,
        "prospects.html",
        active_page="prospects",
        counts=await services.database.read(prospects.count_prospects_by_validation),
        all_saved=saved,
        shown=choose_shown(saved, view.chosen.id if view.chosen else ""),
        **values,
    )


@routes.get("/pieces/prospects/new")
@render_errors
async def show_new_prospect_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that enters one prospect by hand."""
    return render_piece(request, "pieces/new_prospect.html")


@routes.get("/prospects/{id}")
@render_errors
async def show_prospect_page(request: web.Request) -> web.StreamResponse:
    """Show one prospect with its timeline."""
    return await render_page(
        request, "prospect.html", active_page="prospects", view=await _load_prospect_view(request)
    )


@routes.get("/pieces/prospects/{id}")
@render_errors
async def show_prospect_piece(request: web.Request) -> web.StreamResponse:
    """Show the content of a prospect's page, to be refreshed."""
    return render_piece(request, "pieces/prospect.html", view=await _load_prospect_view(request))


async def _load_prospect_view(request: web.Request) -> ProspectView:
    services, now, prospect_id = (
        get_services(request),
        build_page_context(request).now,
        request.match_info["id"],
    )

    def read(reader: Reader) -> ProspectView | None:
        prospect = prospects.get_prospect(reader, prospect_id)
        if prospect is None:
            return None
        in_force = suppressions.list_contact_suppressions(reader, prospect.contact)
        return ProspectView(
            prospect=prospect,
            person=build_contact_profile(reader, prospect.contact, now),
            score=build_prospect_score_view(reader, prospect, services.rulesets.score.ruleset),
            timeline=timeline.build_prospect_timeline(reader, prospect),
            # An operator may lift what operators and imports did, and nothing that the person asked
            # for.
            correctable=bool(in_force)
            and all(record.source in CORRECTABLE_SOURCES for record in in_force),
            checkable=prospect.validation in CHECKABLE_STATES,
            withdrawable=_list_withdrawable(reader, prospect.contact),
            origin_in_words=imports.get_origin_in_words(reader, prospect.import_id),
            fields=prospect_fields.list_prospect_fields(reader, [prospect.id])[prospect.id],
            outcomes=build_outcome_view(reader, prospect.contact),
        )

    found = await services.database.read(read)
    if found is None:
        raise NotFound(f"There is no prospect {prospect_id}.")
    return found


def _list_withdrawable(reader: Reader, contact: str) -> list[WithdrawableItem]:
    valid = evidence.drop_withdrawn(evidence.list_contact_evidence(reader, contact))
    return [
        WithdrawableItem(each.id, evidence_view.get_evidence_key(each), each.at)
        for each in valid
        if is_withdrawable(each)
    ]
