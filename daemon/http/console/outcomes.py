"""Pieces of outcomes: what a person sets by hand, and whether a client may write to somebody."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.chats.sharing import require_client
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_piece
from daemon.http.health import get_services
from daemon.http.v1.prospects import load_prospect
from storage import contacts, conversation_queries, conversations, outcomes
from storage.outcomes import READ_OUTCOMES, UNANSWERED_OUTCOMES, Outcome, OutcomeRecord
from storage.tx import Reader

routes = web.RouteTableDef()

OUTCOME_KEYS: Final = tuple(enumerate(READ_OUTCOMES, start=1))
"""The outcomes that are read from a message of theirs, with their keys; the last one erases."""
_SHOWN_LINES: Final = 5


class OutcomeView(Struct, frozen=True):
    """What came of a contact, and what a person may say of it.

    ``answered``: they wrote something that an outcome could be read from.
    """

    contact: str
    standing: list[OutcomeRecord]
    answered: bool
    keys: tuple[tuple[int, Outcome], ...] = OUTCOME_KEYS


def build_outcome_view(reader: Reader, contact: str) -> OutcomeView:
    """Return what came of a contact."""
    return OutcomeView(
        contact,
        outcomes.list_contact_outcomes(reader, contact),
        answered=conversations.get_last_inbound(reader, contact) is not None,
    )


@routes.get("/pieces/prospects/{id}/outcome")
@render_errors
async def show_outcome_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that sets an outcome which no message of theirs shows."""
    prospect = await load_prospect(get_services(request), request.match_info["id"])
    return render_piece(
        request, "pieces/outcome_dialog.html", prospect=prospect, choices=UNANSWERED_OUTCOMES
    )


@routes.get("/pieces/clients/new")
@render_errors
async def show_new_client_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that adds a client."""
    return render_piece(request, "pieces/new_client.html")


@routes.get("/pieces/chats/{contact}/share/{client}")
@render_errors
async def show_share_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that records what they answered about a client, with their last messages."""
    services, info = get_services(request), request.match_info
    client = await services.database.read(lambda reader: require_client(reader, info["client"]))
    contact = await services.database.read(
        lambda reader: contacts.get_merged_contact(reader, info["contact"])
    )
    lines = await services.database.read(
        lambda reader: conversation_queries.list_lines(reader, contact)
    )
    theirs = [each for each in reversed(lines) if each.theirs][:_SHOWN_LINES]
    return render_piece(
        request, "pieces/share_dialog.html", client=client, contact=contact, theirs=theirs
    )
