"""The page of chats: who waits, one conversation with its box, and what is known of the person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from daemon.chats.reading import ChatDetail, ChatSummary, ChatTab, ReplyMode
from daemon.errors import NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestBody, RequestQuery, read_body, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import (
    PageContext,
    build_page_context,
    render_page,
    render_piece,
)
from daemon.http.console.meanings import MeaningCase, build_meaning_case, split_text
from daemon.http.console.outcomes import OUTCOME_KEYS
from daemon.http.console.review_case import ContactProfile, build_contact_profile
from daemon.http.health import get_services
from daemon.outbox.enqueue import MAX_TEXT_LENGTH
from daemon.sessions.status import SessionView
from statemachines.message import MessageState
from statemachines.session import ConnectionState
from storage import conversation_queries, inbound_reviews
from storage.conversation_queries import ChatLine
from storage.inbound_reviews import ReviewCause
from storage.tx import Reader

routes = web.RouteTableDef()

_MAX_ROWS: Final = 100
_MORNING: Final = 9
_SOON: Final = timedelta(hours=2)
"""How long before its end a free answer is marked."""
MessagesTab = Literal["messages"]


class SnoozeChoice(Struct, frozen=True):
    """A moment until which a chat can be snoozed; ``key`` says which one."""

    key: str
    until: datetime


class ChatView(Struct, frozen=True):
    """One chat as the page shows it, with what is known of the person.

    ``meanings`` are messages of theirs that a person reads, or an opt-out that may be a misreading.
    ``quoted`` is the line that shows the proposed outcome, as text before, within and after the
    quote. ``banned`` is the session that they wrote to, where its number is banned.
    """

    detail: ChatDetail
    person: ContactProfile
    meanings: tuple[MeaningCase, ...]
    snoozes: tuple[SnoozeChoice, ...]
    halted: bool
    banned: str
    soon_over: bool

    @property
    def writable(self) -> bool:
        """Return whether there is a box to write in."""
        return self.detail.mode in {ReplyMode.REPLY, ReplyMode.NEW_MESSAGE}

    @property
    def owes_origin(self) -> bool:
        """Return whether they said no, and still get the answer to where their number is from."""
        asked = self.detail.mode is ReplyMode.REFUSED and self.detail.asks_origin
        return asked and not any(map(self._is_origin_answer, self.detail.lines))

    @property
    def asks_outcome(self) -> bool:
        """Return whether closing the chat asks what came of it: nobody has said it yet."""
        said_no = self.detail.mode in {ReplyMode.REFUSED, ReplyMode.SUPPRESSED}
        return not (self.detail.chat.closed_by or self.detail.has_outcome or said_no)

    @property
    def import_id(self) -> str:
        """Return the import of the person; empty where there is none."""
        return (self.person.prospect.import_id or "") if self.person.prospect else ""

    def _is_origin_answer(self, line: ChatLine) -> bool:
        """Return whether a line is the answer to where their number is from, and has not failed."""
        ours = not line.theirs and line.text == self.detail.origin_answer
        return ours and line.state not in {MessageState.BLOCKED, MessageState.FAILED}

    def split_line(self, line: ChatLine) -> tuple[str, str, str]:
        """Return a line as the text before, within and after what shows the proposed outcome."""
        proposal = self.detail.proposal
        if proposal is None or line.id != proposal.inbound:
            return line.text, "", ""
        return split_text(line.text, proposal.quote or line.text)


class ChatListQuery(RequestQuery, frozen=True):
    """Which tab of chats is shown, and the text that they contain."""

    tab: ChatTab = "waiting"
    text: str = ""


class ChatTabsQuery(RequestQuery, frozen=True):
    """Which tab is shown; the messages have one too."""

    tab: ChatTab | MessagesTab = "waiting"


class CheckReplyBody(RequestBody, frozen=True):
    """An answer that is being written."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_LENGTH)]
    template: str | None = None


@routes.get("/chats")
@render_errors
async def show_chats(request: web.Request) -> web.StreamResponse:
    """Show the chats of a tab, and the first one opened where there is room beside the list."""
    values = await _load_list(request)
    rows = values["rows"]
    view = await _load_view(request, rows[0].contact) if rows else None
    return await _render_chats(request, values, view, chosen=False)


@routes.get("/chats/{contact}")
@render_errors
async def show_chat_page(request: web.Request) -> web.StreamResponse:
    """Show one chat with the list beside it."""
    view = await _load_view(request, request.match_info["contact"])
    return await _render_chats(request, await _load_list(request), view, chosen=True)


@routes.get("/pieces/chats/list")
@render_errors
async def show_chat_list(request: web.Request) -> web.StreamResponse:
    """Show the list of a tab, to be refreshed."""
    return render_piece(request, "pieces/chat_list.html", view=None, **await _load_list(request))


@routes.get("/pieces/chats/tabs")
@render_errors
async def show_chat_tabs(request: web.Request) -> web.StreamResponse:
    """Show the tabs with their counts, to be refreshed."""
    return render_piece(
        request,
        "pieces/chat_tabs.html",
        tab=read_query(request, ChatTabsQuery).tab,
        counts=await load_tab_counts(request),
    )


@routes.get("/pieces/chats/{contact}")
@render_errors
async def show_chat(request: web.Request) -> web.StreamResponse:
    """Show one chat, to be refreshed."""
    view = await _load_view(request, request.match_info["contact"])
    return render_piece(request, "pieces/chat.html", **_build_values(view))


@routes.get("/pieces/chats/{contact}/minor")
@render_errors
async def show_minor_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that confirms a minor, whose data is erased."""
    return await _render_dialog(request, "pieces/chat_minor.html")


@routes.get("/pieces/chats/{contact}/close")
@render_errors
async def show_close_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks what came of a chat before it is closed."""
    return await _render_dialog(request, "pieces/chat_close.html")


@routes.get("/pieces/chats/{contact}/private")
@render_errors
async def show_private_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that confirms that a stranger's chat is private, which erases it."""
    return await _render_dialog(request, "pieces/chat_private.html")


@routes.get("/pieces/chats/{contact}/take-over")
@render_errors
async def show_take_over_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks before an answer is sent while another person writes one."""
    return await _render_dialog(request, "pieces/chat_take_over.html")


@routes.post("/pieces/chats/{contact}/check")
@render_errors
async def show_reply_check(request: web.Request) -> web.StreamResponse:
    """Show in a sentence what would become of an answer, while it is being written."""
    body = await read_body(request, CheckReplyBody)
    chats = get_services(request).chats
    contact = request.match_info["contact"]
    found = await chats.check_reply(contact, body.text, template=body.template)
    return render_piece(request, "pieces/chat_check.html", check=found)


async def load_tab_counts(request: web.Request) -> dict[ChatTab, int]:
    """Return how many chats the tabs have, for who asks."""
    return await get_services(request).chats.count_tabs(request[ACTOR])


async def _render_chats(
    request: web.Request, values: dict[str, Any], view: ChatView | None, *, chosen: bool
) -> web.StreamResponse:
    return await render_page(
        request,
        "chats.html",
        active_page="chats",
        counts=await load_tab_counts(request),
        chosen=chosen,
        **values,
        **_build_values(view),
    )


def _build_values(view: ChatView | None) -> dict[str, Any]:
    return {"view": view, "outcomes": OUTCOME_KEYS}


async def _load_list(request: web.Request) -> dict[str, Any]:
    """Return tab, search and rows of the list, and when our last message left, if it is empty."""
    query, services = read_query(request, ChatListQuery), get_services(request)
    text = query.text.strip()
    rows: list[ChatSummary] = await services.chats.list_chats(
        query.tab, request[ACTOR], text=text, limit=_MAX_ROWS
    )
    last_left = (
        None if rows else await services.database.read(conversation_queries.get_last_left_time)
    )
    return {"tab": query.tab, "text": text, "rows": rows, "last_left": last_left}


async def _load_view(request: web.Request, contact: str) -> ChatView:
    services, page = get_services(request), build_page_context(request)
    try:
        detail = await services.chats.read_chat(contact, request[ACTOR])
    except NotFound as error:
        raise NotFound(str(error), hint="It may have been erased meanwhile.") from error
    person, meanings, session = await services.database.read(
        lambda reader: _read_person(reader, detail.chat.contact, page.now)
    )
    until = detail.chat.free_until
    return ChatView(
        detail=detail,
        person=person,
        meanings=meanings,
        snoozes=_list_snoozes(page),
        halted=await services.halt.get_current() is not None,
        banned=session if session and _is_banned(services.sessions.view(session)) else "",
        soon_over=until is not None and until - page.now < _SOON,
    )


async def _render_dialog(request: web.Request, template: str) -> web.Response:
    view = await _load_view(request, request.match_info["contact"])
    return render_piece(request, template, chat=view.detail.chat, **_build_values(view))


def _is_banned(session: SessionView) -> bool:
    return session.state in {ConnectionState.BANNED_TEMPORARILY, ConnectionState.BLOCKED}


def _read_person(
    reader: Reader, contact: str, now: datetime
) -> tuple[ContactProfile, tuple[MeaningCase, ...], str | None]:
    """Return the profile of a chat's contact, the messages to classify, and the session used."""
    person = build_contact_profile(reader, contact, now)
    cases = []
    # A stranger's words are nobody's to read.
    known = conversation_queries.is_known(reader, contact)
    for each in inbound_reviews.list_contact_reviews(reader, contact) if known else ():
        corrects = each.cause is ReviewCause.OPT_OUT
        if each.meaning or (corrects and (each.listed or not person.suppressed)):
            continue
        if message := inbound_reviews.get_inbound_for_review(reader, each.inbound):
            cases.append(build_meaning_case(message, person))
    return person, tuple(cases), conversation_queries.find_last_session(reader, contact)


def _list_snoozes(page: PageContext) -> tuple[SnoozeChoice, ...]:
    """Return when a chat can come back: in an hour, tomorrow, and on Monday morning."""
    here = page.now.astimezone(page.zone)
    morning = here.replace(hour=_MORNING, minute=0, second=0, microsecond=0)
    tomorrow = morning + timedelta(days=1)
    monday = morning + timedelta(days=7 - here.weekday())
    return (
        SnoozeChoice("hour", page.now + timedelta(hours=1)),
        SnoozeChoice("tomorrow", tomorrow),
        SnoozeChoice("monday", monday),
    )
