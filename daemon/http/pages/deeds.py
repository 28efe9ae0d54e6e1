"""What a person may do about a person: each asked for a reason, with its consequence in numbers."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import Query, query
from daemon.http.pages.shell import piece, told
from daemon.http.vitals import house_of
from storage import contacts, lives, prospects

routes = web.RouteTableDef()

ABOUT_CONTACTS: Final = frozenset({"suppress", "lift"})


class Within(Query, frozen=True):
    """The case of the review in which it is asked; empty on a page of its own."""

    case: str = ""


@routes.get("/pieces/prospects/{id}/validate")
@told
async def validate(request: web.Request) -> web.StreamResponse:
    """Ask whether a number reaches its prospect."""
    return await _about_prospect(request, "pieces/validate.html")


@routes.get("/pieces/prospects/{id}/correct")
@told
async def correct(request: web.Request) -> web.StreamResponse:
    """Ask what is to be put right."""
    return await _about_prospect(request, "pieces/correct.html")


async def _about_prospect(request: web.Request, template: str) -> web.Response:
    house, wanted = house_of(request), request.match_info["id"]
    found = await house.database.read(lambda reader: prospects.get(reader, wanted))
    if found is None:
        raise NotFound(f"There is no prospect {wanted}.")
    waiting = await house.database.read(lambda reader: lives.waiting(reader, found.contact))
    case = query(request, Within).case
    return piece(request, template, prospect=found, waiting=waiting, case=case)


@routes.get("/pieces/contacts/{id}/{deed}")
@told
async def about_contact(request: web.Request) -> web.StreamResponse:
    """Ask before a person is suppressed, or a suppression corrected."""
    wanted, deed = request.match_info["id"], request.match_info["deed"]
    found = await house_of(request).database.read(lambda reader: contacts.get(reader, wanted))
    if found is None or deed not in ABOUT_CONTACTS:
        raise NotFound(f"There is nothing to {deed} about {wanted}.")
    waiting = await house_of(request).database.read(lambda r: lives.waiting(r, found.id))
    case = query(request, Within).case
    return piece(request, f"pieces/{deed}.html", contact=found.id, waiting=waiting, case=case)
