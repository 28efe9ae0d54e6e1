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

ABOUT_PROSPECTS: Final = frozenset({"validate", "correct", "check"})
ABOUT_CONTACTS: Final = frozenset({"suppress", "lift"})


class Within(Query, frozen=True):
    """The case of the review in which it is asked; empty on a page of its own."""

    case: str = ""


@routes.get("/pieces/prospects/{id}/{deed}")
@told
async def about_prospect(request: web.Request) -> web.StreamResponse:
    """Ask before a prospect is validated, corrected or checked."""
    wanted, deed = request.match_info["id"], request.match_info["deed"]
    found = await house_of(request).database.read(lambda reader: prospects.get(reader, wanted))
    if found is None or deed not in ABOUT_PROSPECTS:
        raise NotFound(f"There is nothing to {deed} about {wanted}.")
    waiting = await house_of(request).database.read(lambda r: lives.waiting(r, found.contact))
    case = query(request, Within).case
    template = f"pieces/{deed}.html"
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
