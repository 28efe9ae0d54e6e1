"""`/sessions`: each phone as a card: its state, what to do, its code, its budget, its story."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from daemon.auth.scopes import Scope
from daemon.errors import NotFound
from daemon.http.house import House
from daemon.http.pages import budgets, pairing, story
from daemon.http.pages.budgets import Budget
from daemon.http.pages.pairing import Code
from daemon.http.pages.shell import page, piece, shell_of, told
from daemon.http.vitals import house_of
from daemon.sessions.view import SessionView
from statemachines.message import CANCELLABLE, MessageState
from statemachines.session import ConnectionState
from storage import listings, sessions

routes = web.RouteTableDef()

WAITING = tuple(sorted(CANCELLABLE))
ORDERS = frozenset({"stop", "restart", "logout", "delete"})
"""Orders whose consequence is told before they are carried out."""
LINKING = frozenset({ConnectionState.PAIRING, ConnectionState.CONNECTING, ConnectionState.SYNCING})
_STORY_LENGTH = 60
LATELY = timedelta(hours=72)
"""What is looked back on when a number is banned."""


@dataclass(frozen=True, slots=True)
class Card:
    """One session as its card shows it; `code` is there for those who may pair."""

    view: SessionView
    budget: Budget
    code: Code | None
    linking: bool


async def card_of(request: web.Request, view: SessionView) -> Card:
    """Return a session's card for whoever asks."""
    house, shell = house_of(request), shell_of(request)
    budget = await house.database.read(
        lambda reader: budgets.budget(reader, house, view.name, shell.now)
    )
    shown = house.sessions.qr(view.name) if shell.may(Scope.SESSIONS_PAIR) else None
    rate = house.settings.clock.rate if house.settings.clock.start else 1.0
    code = pairing.code_of(shown, shell.now, rate) if shown else None
    fresh = view.phone_seen_at is None
    return Card(view, budget, code, linking=view.state in LINKING and fresh)


@routes.get("/sessions")
@told
async def list_(request: web.Request) -> web.StreamResponse:
    """Show every session."""
    views = house_of(request).sessions.views()
    cards = [await card_of(request, view) for view in views]
    return await page(request, "sessions.html", here="sessions", cards=cards)


@routes.get("/sessions/{name}")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show one session with its story; of a banned one, all that helps to end the ban well."""
    house, name = house_of(request), request.match_info["name"]
    card = await card_of(request, house.sessions.view(name))
    waiting = await house.database.read(lambda r: listings.of_session(r, name, WAITING))
    open_chats = await house.database.read(lambda r: listings.unanswered(r, session=name))
    since = shell_of(request).now - LATELY
    lately = await house.database.read(lambda r: listings.lately(r, name, since))
    return await page(
        request,
        "session.html",
        here="sessions",
        card=card,
        beats=await _beats(house, name),
        waiting=waiting,
        open_chats=open_chats,
        lately=lately,
        banned=card.view.state is ConnectionState.BANNED_TEMPORARILY,
    )


async def _beats(house: House, name: str) -> list[story.Beat]:
    entries = await house.database.read(lambda reader: sessions.history(reader, name))
    return story.of_session(entries[-_STORY_LENGTH:])


@routes.get("/pieces/sessions/new")
@told
async def new(request: web.Request) -> web.StreamResponse:
    """Ask what a new session is called and how it reaches WhatsApp."""
    house = house_of(request)
    found = house.plugins.channels()
    channels = sorted(found, key=lambda name: (not found[name].connects, name))
    zone = house.settings.daemon.time_zone
    return piece(request, "pieces/new_session.html", channels=channels, time_zone=zone)


@routes.get("/pieces/sessions/{name}")
@told
async def card(request: web.Request) -> web.StreamResponse:
    """Show one session's card as it is now."""
    view = house_of(request).sessions.view(request.match_info["name"])
    return piece(request, "pieces/session_card.html", card=await card_of(request, view))


@routes.get("/pieces/sessions/{name}/story")
@told
async def story_again(request: web.Request) -> web.StreamResponse:
    """Show what happened to one session, as of now."""
    house, name = house_of(request), request.match_info["name"]
    return piece(request, "pieces/session_story.html", beats=await _beats(house, name))


@routes.get("/pieces/sessions/{name}/{order}")
@told
async def consequence(request: web.Request) -> web.StreamResponse:
    """Tell what an order would do, in numbers, before it is given."""
    house, name = house_of(request), request.match_info["name"]
    order = request.match_info["order"]
    if order not in ORDERS:
        raise NotFound(f"There is no order {order}.")
    view = house.sessions.view(name)
    waiting = await house.database.read(lambda r: listings.of_session(r, name, WAITING))
    flying = await house.database.read(
        lambda r: listings.of_session(r, name, (MessageState.SENDING,))
    )
    return piece(
        request, "pieces/order.html", view=view, order=order, waiting=waiting, flying=flying
    )
