"""The sessions pages: each session as a card with its state, code, budget and timeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import segno
from aiohttp import web
from markupsafe import Markup

from daemon.auth.identity import Scope
from daemon.errors import NotFound
from daemon.events import SessionQrShown
from daemon.http.console import timeline
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.outbox.pacing import Pacing, get_budget_key
from daemon.services import Services
from daemon.sessions import queue_disposal
from daemon.sessions.status import SessionView
from statemachines.message import CANCELLABLE_STATES, MessageState
from statemachines.qr import QrState
from statemachines.session import ConnectionState, SendingState
from storage import console_queries, evaluation_context, sessions
from storage.tx import Reader

MAX_DOTS = 10
"""A larger budget is shown as a number."""


@dataclass(frozen=True, slots=True)
class NewChatBudget:
    """New chats of a number in 24 hours; `key` is the number, or the session's name without one."""

    key: str
    left: int
    total: int

    @property
    def dots(self) -> list[bool] | None:
        """Return a dot for each new chat, True if it is left; None if there are too many."""
        if not 0 < self.total <= MAX_DOTS:
            return None
        return [index < self.left for index in range(self.total)]


def build_new_chat_budget(
    reader: Reader, services: Services, session: str, now: datetime
) -> NewChatBudget:
    """Return the budget of a session's number."""
    pacing = Pacing(services.settings.pacing)
    standing = evaluation_context.read_session_context(reader, session, now)
    left = pacing.count_new_chats_left(reader, standing, now)
    return NewChatBudget(get_budget_key(standing), left, pacing.get_new_chat_budget(standing, now))


def list_open_budgets(
    reader: Reader, services: Services, views: list[SessionView], now: datetime
) -> list[NewChatBudget]:
    """Return the budget of each number that can begin chats now."""
    ready = [view.name for view in views if view.ready and view.sending is SendingState.ALL]
    # Once for each number: two sessions of one phone share its budget.
    found = (build_new_chat_budget(reader, services, name, now) for name in ready)
    return list({each.key: each for each in found}.values())


_QUIET_ZONE_MODULES = 3
"""Light modules around the code; the card's padding is the rest of the quiet zone."""


@dataclass(frozen=True, slots=True)
class PairingCode:
    """A pairing code. The seconds are real ones, whatever the daemon's clock does."""

    picture: Markup
    index: int
    maximum: int
    seconds_left: float
    valid_seconds: float


def build_pairing_code(shown: SessionQrShown, now: datetime, rate: float) -> PairingCode:
    """Return a code as the page shows it; `rate` is how fast the daemon's clock runs."""
    drawn = segno.make(shown.code, error="l", micro=False)
    svg = drawn.svg_inline(border=_QUIET_ZONE_MODULES, omitsize=True, svgclass="qr", lineclass=None)
    left = (shown.expires_at - now).total_seconds() / rate
    valid = (shown.expires_at - shown.at).total_seconds() / rate
    return PairingCode(
        picture=Markup(svg),  # noqa: S704 - drawn by the library from modules, no text in it
        index=shown.index,
        maximum=shown.maximum,
        seconds_left=round(max(0.0, left), 1),
        valid_seconds=round(valid, 1),
    )


routes = web.RouteTableDef()

SESSION_ACTIONS = frozenset({"stop", "restart", "logout", "delete"})
"""Actions that a dialog asks about first."""
PAIRING_SHOWN_IN: Mapping[QrState, Collection[ConnectionState]] = {
    QrState.SCANNED: {ConnectionState.PAIRING, ConnectionState.STARTING},
    QrState.PAIRED: {ConnectionState.CONNECTING, ConnectionState.SYNCING},
    QrState.EXPIRED: {ConnectionState.QR_EXPIRED},
    QrState.CANCELLED: {ConnectionState.STOPPED},
}
"""The session states in which the card shows how the last attempt to link a phone went."""
_MAX_TIMELINE_ENTRIES = 60
BAN_LOOKBACK = timedelta(hours=72)
"""The period before a ban of which the page shows the activity."""


@dataclass(frozen=True, slots=True)
class SessionCard:
    """One session as its card shows it; `pairing_code` is None for those who may not pair.

    `pairing` is the state of the linking, empty where the session is past that.
    """

    view: SessionView
    budget: NewChatBudget
    pairing_code: PairingCode | None
    pairing: str


async def build_session_card(request: web.Request, view: SessionView) -> SessionCard:
    """Return the card of a session."""
    services, page = get_services(request), build_page_context(request)
    budget = await services.database.read(
        lambda reader: build_new_chat_budget(reader, services, view.name, page.now)
    )
    qr_code = services.sessions.qr(view.name) if page.may(Scope.SESSIONS_PAIR) else None
    rate = services.settings.clock.effective_rate
    code = build_pairing_code(qr_code, page.now, rate) if qr_code else None
    shown = view.state in PAIRING_SHOWN_IN.get(view.pairing, ())
    return SessionCard(view, budget, code, view.pairing if shown else "")


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
    """Show one session with its timeline and, if it is banned, what led to that and what to do."""
    services, name = get_services(request), request.match_info["name"]
    card = await build_session_card(request, services.sessions.view(name))
    waiting = await services.database.read(
        lambda r: console_queries.count_session_messages(r, name, CANCELLABLE_STATES)
    )
    open_chats = await services.database.read(
        lambda r: console_queries.count_unanswered_contacts(r, session=name)
    )
    since = build_page_context(request).now - BAN_LOOKBACK
    lately = await services.database.read(
        lambda r: console_queries.get_session_activity(r, name, since)
    )
    return await render_page(
        request,
        "session.html",
        active_page="sessions",
        card=card,
        timeline=await _load_session_timeline(services, name),
        waiting=waiting,
        open_chats=open_chats,
        lately=lately,
        banned=card.view.state is ConnectionState.BANNED_TEMPORARILY,
    )


async def _load_session_timeline(services: Services, name: str) -> list[timeline.TimelineEntry]:
    entries = await services.database.read(
        lambda reader: sessions.list_session_history(reader, name)
    )
    return timeline.build_session_timeline(entries[-_MAX_TIMELINE_ENTRIES:])


@routes.get("/pieces/sessions/new")
@render_errors
async def show_new_session_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that adds a session."""
    services = get_services(request)
    known = services.channels
    # Those that connect a phone first: manual channels are the exception.
    channels = sorted(known, key=lambda name: (not known[name].connects, name))
    zone = services.settings.daemon.time_zone
    return render_piece(request, "pieces/new_session.html", channels=channels, time_zone=zone)


@routes.get("/pieces/sessions/{name}")
@render_errors
async def show_session_card(request: web.Request) -> web.StreamResponse:
    """Show the card of a session, to be refreshed."""
    view = get_services(request).sessions.view(request.match_info["name"])
    return render_piece(
        request, "pieces/session_card.html", card=await build_session_card(request, view)
    )


@routes.get("/pieces/sessions/{name}/timeline")
@render_errors
async def show_session_timeline(request: web.Request) -> web.StreamResponse:
    """Show the timeline of a session, to be refreshed."""
    services = get_services(request)
    name = services.sessions.view(request.match_info["name"]).name
    return render_piece(
        request,
        "pieces/session_timeline.html",
        timeline=await _load_session_timeline(services, name),
    )


# After `{name}/timeline`, which this path matches too: the router takes the first.
@routes.get("/pieces/sessions/{name}/{action}")
@render_errors
async def show_session_action_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog of an action: what it would do, with the number of messages concerned."""
    services, name = get_services(request), request.match_info["name"]
    action = request.match_info["action"]
    if action not in SESSION_ACTIONS:
        raise NotFound(f"There is no action {action}.")
    view = services.sessions.view(name)
    waiting = await services.database.read(
        lambda r: console_queries.count_session_messages(r, name, CANCELLABLE_STATES)
    )
    sending = await services.database.read(
        lambda r: console_queries.count_session_messages(r, name, (MessageState.SENDING,))
    )
    targets = await services.database.read(
        lambda reader: queue_disposal.list_move_targets(reader, name)
    )
    return render_piece(
        request,
        "pieces/session_action.html",
        targets=targets,
        view=view,
        action=action,
        waiting=waiting,
        sending=sending,
    )
