"""Confirmation dialogs for validating, correcting or suppressing a prospect."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_piece
from daemon.http.health import get_services
from storage import contacts, messages, prospects

routes = web.RouteTableDef()

CONTACT_ACTIONS: Final = frozenset({"suppress", "lift"})


class DialogQuery(RequestQuery, frozen=True):
    """The review case in which the dialog was opened; empty outside of the review."""

    case: str = ""


@routes.get("/pieces/prospects/{id}/validate")
@render_errors
async def show_validate_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks whether a number reaches its prospect."""
    return await _render_prospect_dialog(request, "pieces/validate.html")


@routes.get("/pieces/prospects/{id}/correct")
@render_errors
async def show_correct_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that corrects a prospect's data."""
    return await _render_prospect_dialog(request, "pieces/correct.html")


async def _render_prospect_dialog(request: web.Request, template: str) -> web.Response:
    services, prospect_id = get_services(request), request.match_info["id"]
    found = await services.database.read(lambda reader: prospects.get_prospect(reader, prospect_id))
    if found is None:
        raise NotFound(f"There is no prospect {prospect_id}.")
    waiting = await services.database.read(
        lambda reader: messages.count_cancellable_messages(reader, found.contact)
    )
    case = read_query(request, DialogQuery).case
    return render_piece(request, template, prospect=found, waiting=waiting, case=case)


@routes.get("/pieces/contacts/{id}/{action}")
@render_errors
async def show_contact_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that suppresses a contact, or corrects a suppression."""
    contact_id, action = request.match_info["id"], request.match_info["action"]
    found = await get_services(request).database.read(
        lambda reader: contacts.get_contact(reader, contact_id)
    )
    # The action is a part of the path, and becomes the name of a template.
    if found is None or action not in CONTACT_ACTIONS:
        raise NotFound(f"There is nothing to {action} about {contact_id}.")
    waiting = await get_services(request).database.read(
        lambda r: messages.count_cancellable_messages(r, found.id)
    )
    case = read_query(request, DialogQuery).case
    return render_piece(
        request, f"pieces/{action}.html", contact=found.id, waiting=waiting, case=case
    )
