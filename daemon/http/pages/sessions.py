"""`/sessions`: each phone as a card: its state, what to do, its code, its budget, its story."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from daemon.auth.scopes import Scope
from daemon.errors import NotFound
from daemon.http.house import HttpServices
from daemon.http.pages import budgets, pairing, story
from daemon.http.pages.budgets import NewChatBudget
from daemon.http.pages.pairing import PairingCode
from daemon.http.pages.shell import build_page_context, render_errors, render_page, render_piece
from daemon.http.vitals import get_services
from daemon.sessions.view import SessionView
from statemachines.message import CANCELLABLE_STATES, MessageState
from statemachines.session import ConnectionState
from storage import listings, sessions

routes = web.RouteTableDef()

WAITING_STATES = tuple(sorted(CANCELLABLE_STATES))
SESSION_ACTIONS = frozenset({"stop", "restart", "logout", "delete"})
"""Orders whose consequence is told before they are carried out."""
LINKING_STATES = frozenset(
    {ConnectionState.PAIRING, ConnectionState.CONNECTING, ConnectionState.SYNCING}
)
_MAX_TIMELINE_ENTRIES = 60
BAN_LOOKBACK = timedelta(hours=72)
"""What is looked back on when a number is banned."""


@dataclass(frozen=True, slots=True)
class SessionCard:
    """One session as its card shows it; `code` is there for those who may pair."""

    view: SessionView
    budget: NewChatBudget
    pairing_code: PairingCode | None
    is_linking: bool


async def build_session_card(request: web.Request, view: SessionView) -> SessionCard:
    """Return a session's card for whoever asks."""
    house, shell = get_services(request), build_page_context(request)
    budget = await house.database.read(
        lambda reader: budgets.build_new_chat_budget(reader, house, view.name, shell.now)
    )
    shown = house.sessions.qr(view.name) if shell.may(Scope.SESSIONS_PAIR) else None
    rate = house.settings.clock.rate if house.settings.clock.start else 1.0
    code = pairing.build_pairing_code(shown, shell.now, rate) if shown else None
    fresh = view.phone_seen_at is None
    return SessionCard(view, budget, code, is_linking=view.state in LINKING_STATES and fresh)


@routes.get("/sessions")
@render_errors
async def show_sessions_page(request: web.Request) -> web.StreamResponse:
    """Show every session."""
    views = get_services(request).sessions.views()
    cards = [await build_session_card(request, view) for view in views]
    return await render_page(request, "sessions.html", active_page="sessions", cards=cards)


@routes.get("/sessions/{name}")
@render_errors
async def show_session_page(request: web.Request) -> web.StreamResponse:
    """Show one session with its story; of a banned one, all that helps to end the ban well."""
    house, name = get_services(request), request.match_info["name"]
    card = await build_session_card(request, house.sessions.view(name))
    waiting = await house.database.read(
        lambda r: listings.count_session_messages(r, name, WAITING_STATES)
    )
    open_chats = await house.database.read(
        lambda r: listings.count_unanswered_contacts(r, session=name)
    )
    since = build_page_context(request).now - BAN_LOOKBACK
    lately = await house.database.read(lambda r: listings.get_session_activity(r, name, since))
    return await render_page(
        request,
        "session.html",
        active_page="sessions",
        card=card,
        beats=await _load_session_timeline(house, name),
        waiting=waiting,
        open_chats=open_chats,
        lately=lately,
        banned=card.view.state is ConnectionState.BANNED_TEMPORARILY,
    )


async def _load_session_timeline(house: HttpServices, name: str) -> list[story.TimelineEntry]:
    entries = await house.database.read(lambda reader: sessions.list_session_history(reader, name))
    return story.build_session_timeline(entries[-_MAX_TIMELINE_ENTRIES:])


@routes.get("/pieces/sessions/new")
@render_errors
async def show_new_session_dialog(request: web.Request) -> web.StreamResponse:
    """Ask what a new session is called and how it reaches WhatsApp."""
    house = get_services(request)
    found = house.plugins.channels()
    channels = sorted(found, key=lambda name: (not found[name].connects, name))
    zone = house.settings.daemon.time_zone
    return render_piece(request, "pieces/new_session.html", channels=channels, time_zone=zone)


@routes.get("/pieces/sessions/{name}")
@render_errors
async def show_session_card(request: web.Request) -> web.StreamResponse:
    """Show one session's card as it is now."""
    view = get_services(request).sessions.view(request.match_info["name"])
    return render_piece(
        request, "pieces/session_card.html", card=await build_session_card(request, view)
    )


@routes.get("/pieces/sessions/{name}/story")
@render_errors
async def show_session_timeline(request: web.Request) -> web.StreamResponse:
    """Show what happened to one session, as of now."""
    house, name = get_services(request), request.match_info["name"]
    return render_piece(
        request, "pieces/session_story.html", beats=await _load_session_timeline(house, name)
    )


@routes.get("/pieces/sessions/{name}/{order}")
@render_errors
async def show_session_action_dialog(request: web.Request) -> web.StreamResponse:
    """Tell what an order would do, in numbers, before it is given."""
    house, name = get_services(request), request.match_info["name"]
    order = request.match_info["order"]
    if order not in SESSION_ACTIONS:
        raise NotFound(f"There is no order {order}.")
    view = house.sessions.view(name)
    waiting = await house.database.read(
        lambda r: listings.count_session_messages(r, name, WAITING_STATES)
    )
    flying = await house.database.read(
        lambda r: listings.count_session_messages(r, name, (MessageState.SENDING,))
    )
    return render_piece(
        request, "pieces/order.html", view=view, order=order, waiting=waiting, flying=flying
    )
