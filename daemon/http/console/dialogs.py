"""Dialogs of one prospect: validate, correct, suppress, record a consent, withdraw a record."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from daemon.contacts.consents import ConsentMethod, parse_record_number
from daemon.errors import NotFound
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console import evidence_view
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_piece
from daemon.http.health import get_services
from storage import contacts, messages, prospects
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

SELECTION_ACTIONS: Final = {
    "prospects": ("check", "validate", "consent", "suppress"),
    "messages": ("approve", "reject", "cancel"),
}
"""What may be done about ticked rows, by the list."""
CONTACT_ACTIONS: Final = frozenset({"suppress", "lift"})


class DialogQuery(RequestQuery, frozen=True):
    """The review case in which the dialog was opened; empty outside of the review."""

    case: str = ""


@routes.get("/pieces/prospects/selection/{action}")
@render_errors
async def show_prospect_selection_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog of an action on many prospects; a script fills in which."""
    return _render_selection_dialog(request, "prospects")


@routes.get("/pieces/messages/selection/{action}")
@render_errors
async def show_message_selection_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog of an action on many messages; a script fills in which."""
    return _render_selection_dialog(request, "messages")


def _render_selection_dialog(request: web.Request, list_: str) -> web.Response:
    action, page = request.match_info["action"], build_page_context(request)
    if action not in SELECTION_ACTIONS[list_]:
        raise NotFound(f"There is nothing to {action} about a selection.")
    return render_piece(
        request,
        "pieces/selection_dialog.html",
        action=action,
        list=list_,
        methods=tuple(ConsentMethod),
        today=page.now.astimezone(page.daemon_zone).date(),
    )


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


@routes.get("/pieces/prospects/{id}/consent")
@render_errors
async def show_consent_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that records a consent, or why none can be recorded."""
    page, prospect_id = build_page_context(request), request.match_info["id"]
    obstacle = await get_services(request).consents.find_consent_obstacle(prospect_id)
    prospect, waiting = await _load_prospect(request)
    return render_piece(
        request,
        "pieces/consent.html",
        prospect=prospect,
        waiting=waiting,
        obstacle=obstacle,
        methods=tuple(ConsentMethod),
        today=page.now.astimezone(page.daemon_zone).date(),
    )


@routes.get("/pieces/prospects/{id}/given")
@render_errors
async def show_given_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that says where and how somebody gave this number as their WhatsApp."""
    obstacle = await get_services(request).consents.find_given_obstacle(request.match_info["id"])
    prospect, _ = await _load_prospect(request)
    return render_piece(request, "pieces/given.html", prospect=prospect, obstacle=obstacle)


@routes.get("/pieces/prospects/{id}/withdraw/{record}")
@render_errors
async def show_withdraw_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that withdraws a record that was wrong."""
    prospect, waiting = await _load_prospect(request)
    record = parse_record_number(request.match_info["record"])
    piece = await get_services(request).consents.get_withdrawable(prospect.id, record)
    return render_piece(
        request,
        "pieces/withdraw.html",
        prospect=prospect,
        waiting=waiting,
        piece=piece,
        evidence_key=evidence_view.get_evidence_key(piece),
    )


async def _render_prospect_dialog(request: web.Request, template: str) -> web.Response:
    prospect, waiting = await _load_prospect(request)
    case = read_query(request, DialogQuery).case
    return render_piece(request, template, prospect=prospect, waiting=waiting, case=case)


async def _load_prospect(request: web.Request) -> tuple[ProspectRecord, int]:
    """Return the prospect that a path names, and how many messages wait for them."""
    prospect_id = request.match_info["id"]

    def read(reader: Reader) -> tuple[ProspectRecord, int] | None:
        found = prospects.get_prospect(reader, prospect_id)
        if found is None:
            return None
        return found, messages.count_cancellable_messages(reader, found.contact)

    loaded = await get_services(request).database.read(read)
    if loaded is None:
        raise NotFound(f"There is no prospect {prospect_id}.")
    return loaded


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
