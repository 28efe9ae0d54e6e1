"""The sessions pages: each session as a card with its state, code, budget and timeline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from aiohttp import web
from markupsafe import Markup
from msgspec import Struct

from daemon.api.transport import Channel, Pairing
from daemon.auth.identity import Scope
from daemon.errors import NotFound
from daemon.events import SessionPairingCodeShown, SessionQrShown
from daemon.http.console import timeline
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.health import get_services
from daemon.http.qr_drawing import draw_qr_code
from daemon.outbox.ban_report import BAN_LOOKBACK
from daemon.outbox.number_status import list_number_statuses
from daemon.outbox.pacing import get_budget_key
from daemon.services import Services
from daemon.sessions import queue_disposal
from daemon.sessions.linking import PAIRING_STEPS
from daemon.sessions.status import SessionView
from statemachines.message import CANCELLABLE_STATES, MessageState
from statemachines.qr import QrState
from statemachines.session import ConnectionState, PhoneState, SendingState
from statemachines.vocabulary import NumberAge, ReportedBan
from storage import console_queries, evaluation_context, sessions
from storage.linking_answers import LinkingAnswers, get_linking_answers
from storage.tx import Reader
from storage.waiting import count_waiting

MAX_DOTS = 10
"""A larger budget is shown as a number."""


class NewChatBudget(Struct, frozen=True):
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
    pacing = services.pacing
    standing = evaluation_context.read_session_context(reader, session, now)
    left = pacing.count_new_chats_left(reader, standing, now)
    return NewChatBudget(
        get_budget_key(standing), left, pacing.get_new_chat_budget(reader, standing, now)
    )


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


class QrPicture(Struct, frozen=True):
    """A QR code that links a phone. The seconds are real ones, whatever the daemon's clock does."""

    picture: Markup
    index: int
    maximum: int
    seconds_left: float
    valid_seconds: float


async def build_pairing_code(shown: SessionQrShown, now: datetime, rate: float) -> QrPicture:
    """Return a code as the page shows it; `rate` is how fast the daemon's clock runs."""
    drawn = await draw_qr_code(shown.code)
    svg = drawn.svg_inline(border=_QUIET_ZONE_MODULES, omitsize=True, svgclass="qr", lineclass=None)
    left = (shown.expires_at - now).total_seconds() / rate
    valid = (shown.expires_at - shown.at).total_seconds() / rate
    return QrPicture(
        picture=Markup(svg),  # noqa: S704 - drawn by the library from modules, no text in it
        index=shown.index,
        maximum=shown.maximum,
        seconds_left=round(max(0.0, left), 1),
        valid_seconds=round(valid, 1),
    )


class TypedCode(Struct, frozen=True):
    """A code to be typed on the phone. The seconds are real ones, as those of a QR code."""

    code: str
    seconds_left: float
    valid_seconds: float
    steps: Sequence[str] = PAIRING_STEPS


def build_typed_code(shown: SessionPairingCodeShown, now: datetime, rate: float) -> TypedCode:
    """Return a code as the page shows it; `rate` is how fast the daemon's clock runs."""
    left = (shown.expires_at - now).total_seconds() / rate
    valid = (shown.expires_at - shown.at).total_seconds() / rate
    return TypedCode(shown.code, round(max(0.0, left), 1), round(valid, 1))


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


class SessionCard(Struct, frozen=True):
    """One session as its card shows it; the codes are None for those who may not pair.

    `pairing` is the state of the linking, empty where the session is past that. `offers_code` and
    `offers_qr` are the ways in which a phone can be linked now; `asks`: before that, a person has
    to answer what is asked about its number.
    """

    view: SessionView
    budget: NewChatBudget
    pairing_code: QrPicture | None
    typed_code: TypedCode | None
    answers: LinkingAnswers | None
    pairing: str
    offers_code: bool
    offers_qr: bool
    asks: bool


def asks_about_numbers(channel: Channel) -> bool:
    """Return whether a person is asked about a number before its phone is linked."""
    # Of a simulated number there is nothing to tell.
    return channel.capabilities.pairing is not Pairing.NONE and not channel.simulated


async def build_session_card(request: web.Request, view: SessionView) -> SessionCard:
    """Return the card of a session."""
    services, page = get_services(request), build_page_context(request)
    budget, answers = await services.database.read(
        lambda reader: (
            build_new_chat_budget(reader, services, view.name, page.now),
            get_linking_answers(reader, view.name),
        )
    )
    may_pair, rate = page.may(Scope.SESSIONS_PAIR), services.settings.clock.effective_rate
    qr_code = services.sessions.qr(view.name) if may_pair else None
    typed = services.sessions.pairing_code(view.name) if may_pair else None
    channel = services.channels[view.channel]
    pairing, unlinked = channel.capabilities.pairing, view.phone_state is PhoneState.UNLINKED
    asks = answers is None and view.phone is None and asks_about_numbers(channel)
    asks = asks and view.state is ConnectionState.STOPPED
    may_link = may_pair and unlinked and not asks
    return SessionCard(
        view,
        budget,
        pairing_code=await build_pairing_code(qr_code, page.now, rate) if qr_code else None,
        typed_code=build_typed_code(typed, page.now, rate) if typed else None,
        answers=answers,
        pairing=view.pairing if view.state in PAIRING_SHOWN_IN.get(view.pairing, ()) else "",
        offers_code=may_link and pairing.by_code,
        offers_qr=may_link and pairing.by_qr,
        asks=asks,
    )


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
    now = build_page_context(request).now
    open_chats = await services.database.read(lambda r: count_waiting(r, now, session=name))
    since = now - BAN_LOOKBACK
    statuses = await services.database.read(lambda r: list_number_statuses(r, services.pacing, now))
    number = next((each for each in statuses if each.phone == card.view.phone), None)
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
        number=number,
        resumable=number is not None and number.is_resumable,
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
    return render_piece(
        request,
        "pieces/new_session.html",
        channels=channels,
        asking=[name for name in channels if asks_about_numbers(known[name])],
        time_zone=services.settings.daemon.time_zone,
    )


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


@routes.get("/pieces/sessions/{name}/pairing-code")
@render_errors
async def show_pairing_code_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks for the number of the phone, to link it by a code."""
    view = get_services(request).sessions.view(request.match_info["name"])
    return render_piece(request, "pieces/pairing_code_dialog.html", view=view)


@routes.get("/pieces/sessions/{name}/linking-answers")
@render_errors
async def show_linking_answers_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks about the number, before its phone is linked or afterwards."""
    services, page = get_services(request), build_page_context(request)
    view = services.sessions.view(request.match_info["name"])
    card = await build_session_card(request, view)
    return render_piece(
        request,
        "pieces/linking_answers_dialog.html",
        view=view,
        starts=card.asks and page.may(Scope.SESSIONS_WRITE),
        ages=tuple(NumberAge),
        bans=tuple(ReportedBan),
        today=page.now.date().isoformat(),
    )


@routes.get("/pieces/sessions/{name}/resume-new-chats")
@render_errors
async def show_resume_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that resumes the new chats of a session's number."""
    view = get_services(request).sessions.view(request.match_info["name"])
    return render_piece(request, "pieces/resume_new_chats.html", view=view)


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
