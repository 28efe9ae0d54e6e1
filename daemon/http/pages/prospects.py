"""`/prospects`: find one; how well reachable, who said that we may write, its whole story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from daemon.consent import Permission
from daemon.errors import NotFound
from daemon.http.bodies import PageQuery, query
from daemon.http.house import House
from daemon.http.pages import life
from daemon.http.pages.case import Person, person_of, score_of
from daemon.http.pages.shell import page, piece, shell_of, told
from daemon.http.pages.story import Beat
from daemon.http.pages.verdict import Shown
from daemon.http.vitals import house_of
from statemachines.prospect import ValidationState
from storage import directory, prospects, suppressions
from storage.prospects import ProspectRecord
from storage.suppressions import CORRECTABLE
from storage.tx import Reader

routes = web.RouteTableDef()


class Wanted(PageQuery, frozen=True):
    """Which prospects to list: of one state, one permission, one list, and words to look for."""

    text: str = ""
    validation: ValidationState | None = None
    permission: Permission | None = None
    brought: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is shown of one prospect. `correctable`: nothing in force is their own word."""

    prospect: ProspectRecord
    person: Person
    score: Shown | None
    beats: list[Beat]
    correctable: bool


@routes.get("/prospects")
@told
async def list_(request: web.Request) -> web.StreamResponse:
    """Show prospects, newest first; a search asks for the list alone."""
    wanted, house = query(request, Wanted), house_of(request)
    found = await house.database.read(
        lambda reader: directory.search(
            reader,
            text=wanted.text.strip(),
            validation=wanted.validation or "",
            permission=wanted.permission or "",
            import_=wanted.brought,
            after=wanted.after,
            limit=wanted.limit + 1,
        )
    )
    shown = found[: wanted.limit]
    values: dict[str, Any] = {
        "found": shown,
        "wanted": wanted,
        "next": shown[-1].prospect.id if len(found) > wanted.limit else "",
    }
    if "HX-Request" in request.headers:
        return piece(request, "pieces/prospect_list.html", **values)
    counts = await house.database.read(prospects.counts)
    return await page(request, "prospects.html", here="prospects", counts=counts, **values)


@routes.get("/pieces/prospects/new")
@told
async def new(request: web.Request) -> web.StreamResponse:
    """Ask for one prospect by hand."""
    return piece(request, "pieces/new_prospect.html")


@routes.get("/prospects/{id}")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show one prospect with its whole story."""
    return await page(request, "prospect.html", here="prospects", whole=await _whole(request))


@routes.get("/pieces/prospects/{id}")
@told
async def again(request: web.Request) -> web.StreamResponse:
    """Show what changes of one prospect."""
    return piece(request, "pieces/prospect.html", whole=await _whole(request))


async def _whole(request: web.Request) -> Whole:
    house, now, wanted = house_of(request), shell_of(request).now, request.match_info["id"]

    def read(reader: Reader) -> Whole | None:
        prospect = prospects.get(reader, wanted)
        if prospect is None:
            return None
        in_force = suppressions.of_contact(reader, prospect.contact)
        return Whole(
            prospect=prospect,
            person=person_of(reader, prospect.contact, now),
            score=_score(house, prospect),
            beats=life.of_prospect(reader, prospect),
            correctable=all(record.source in CORRECTABLE for record in in_force),
        )

    found = await house.database.read(read)
    if found is None:
        raise NotFound(f"There is no prospect {wanted}.")
    return found


def _score(house: House, prospect: ProspectRecord) -> Shown | None:
    return score_of(prospect, house.rulebook.score.ruleset)
