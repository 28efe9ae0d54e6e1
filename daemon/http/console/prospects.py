"""The prospects pages: search, and one prospect with its score, its permission and its timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web
from msgspec import Struct

from daemon.contacts.aliases import list_searched_spellings
from daemon.contacts.consents import is_withdrawable
from daemon.errors import NotFound
from daemon.gate.consent import Permission
from daemon.http.bodies import PageQuery, read_query
from daemon.http.console import evidence_view, timeline
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.outcomes import OUTCOME_KEYS, OutcomeView, build_outcome_view
from daemon.http.console.review_case import (
    ContactProfile,
    build_contact_profile,
    build_prospect_score_view,
)
from daemon.http.console.timeline import TimelineEntry
from daemon.http.console.verdict_view import VerdictView
from daemon.http.health import get_services
from statemachines.prospect import CHECKABLE_STATES, ValidationState
from storage import evidence, imports, prospect_fields, prospect_search, prospects, suppressions
from storage.prospects import ProspectRecord
from storage.suppressions import CORRECTABLE_SOURCES
from storage.tx import Reader

routes = web.RouteTableDef()


class ProspectsPageQuery(PageQuery, frozen=True):
    """Filters of the prospects: validation, permission, import, and a text to search for."""

    text: str = ""
    validation: ValidationState | None = None
    permission: Permission | None = None
    import_id: str = ""


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
    query, services = read_query(request, ProspectsPageQuery), get_services(request)
    region = services.settings.daemon.default_region
    found = await services.database.read(
        lambda reader: prospect_search.search_prospect_directory(
            reader,
            now=services.clock.now(),
            text=query.text.strip(),
            numbers=list_searched_spellings(query.text, region),
            validation=query.validation or "",
            permission=query.permission or "",
            import_=query.import_id,
            after=query.after,
            limit=query.limit + 1,
        )
    )
    visible = found[: query.limit]
    values: dict[str, Any] = {
        "found": visible,
        "query": query,
        "next": visible[-1].prospect.id if len(found) > query.limit else "",
        "outcome_keys": OUTCOME_KEYS,
    }
    if "HX-Request" in request.headers:
        return render_piece(request, "pieces/prospect_list.html", **values)
    counts = await services.database.read(prospects.count_prospects_by_validation)
    return await render_page(
        request, "prospects.html", active_page="prospects", counts=counts, **values
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
