"""The `/manual` page: take a message, send it by hand, say how it ended; one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.api import numbers
from daemon.gate.consent import Permission
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console import review_case
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.meanings import load_review_tabs
from daemon.http.console.messages import require_message_id
from daemon.http.console.review_case import ContactProfile
from daemon.http.health import get_services
from daemon.services import Services
from statemachines.message import LEASED_STATES, MessageState
from statemachines.vocabulary import MessageKind
from storage import console_queries, messages, queue
from storage.messages import MessageRecord
from storage.tx import Reader

routes = web.RouteTableDef()

MAX_QUEUE_ENTRIES: Final = 100
_OPT_OUT_REASON: Final = "suppressed"


class ManualPageQuery(RequestQuery, frozen=True):
    """The message that was open when the page was last rendered."""

    was: str = ""


_NO_PERMISSION: Final = frozenset({Permission.NONE, Permission.REFUSED})


class ManualQueueEntry(Struct, frozen=True):
    """One message of the list, and the name of its recipient."""

    message: MessageRecord
    name: str


class OpenManualMessage(Struct, frozen=True):
    """The message that the reader has taken. `link` opens the chat, once it was revealed.

    `seconds_left` and `lease_seconds` are real seconds, whatever the daemon's clock does;
    `withdrawn` says that the recipient opted out meanwhile, or that a commercial message has lost
    its permission.
    """

    message: MessageRecord
    person: ContactProfile
    link: str
    seconds_left: float
    lease_seconds: float
    withdrawn: bool


class ManualQueueView(Struct, frozen=True):
    """The page: the message taken, those that can be taken, those of others, those in doubt.

    `stopped` is a message that was taken until its recipient opted out.
    """

    open: OpenManualMessage | None
    stopped: ManualQueueEntry | None
    free: list[ManualQueueEntry]
    others: list[ManualQueueEntry]
    doubts: list[ManualQueueEntry]


@routes.get("/manual")
@render_errors
async def show_manual_page(request: web.Request) -> web.StreamResponse:
    """Show the page."""
    return await render_page(
        request,
        "manual.html",
        active_page="manual",
        tabs=await load_review_tabs(request),
        queue=await _load_manual_queue(request, ""),
    )


@routes.get("/pieces/manual")
@render_errors
async def show_manual_piece(request: web.Request) -> web.StreamResponse:
    """Show the content of the page, to be refreshed."""
    queue = await _load_manual_queue(request, read_query(request, ManualPageQuery).was)
    return render_piece(request, "pieces/manual.html", queue=queue)


@routes.get("/pieces/manual/{id}/not-sent")
@render_errors
async def show_not_sent_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks why a message was not sent."""
    return await _render_message_dialog(request, "pieces/not_sent.html")


@routes.get("/pieces/messages/{id}/settle")
@render_errors
async def show_settle_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks how a message in doubt ended."""
    return await _render_message_dialog(request, "pieces/settle.html")


async def _render_message_dialog(request: web.Request, template: str) -> web.Response:
    return render_piece(request, template, message=await require_message_id(request))


async def _load_manual_queue(request: web.Request, was: str) -> ManualQueueView:
    services, now, who = get_services(request), build_page_context(request).now, request[ACTOR]
    return await services.database.read(
        lambda reader: build_manual_queue(reader, services, who, was, now)
    )


def build_manual_queue(
    reader: Reader, services: Services, who: str, was: str, now: datetime
) -> ManualQueueView:
    """Return the queue of messages by hand as one person sees it."""
    rows = [
        ManualQueueEntry(each, console_queries.get_prospect_name(reader, each.contact))
        for each in queue.list_manual_messages(reader, MAX_QUEUE_ENTRIES)
    ]
    own = next(
        (r for r in rows if r.message.state in LEASED_STATES and r.message.taken_by == who), None
    )
    return ManualQueueView(
        open=_build_open_message(reader, services, own.message, now) if own else None,
        stopped=_find_withdrawn_entry(reader, was) if own is None else None,
        free=[row for row in rows if row.message.state is MessageState.CLEARED],
        others=[row for row in rows if row.message.state in LEASED_STATES and row is not own],
        doubts=[row for row in rows if row.message.state is MessageState.IN_DOUBT],
    )


def _build_open_message(
    reader: Reader, services: Services, message: MessageRecord, now: datetime
) -> OpenManualMessage:
    # The page counts down in real seconds, also where the daemon's clock runs faster.
    rate = services.settings.clock.effective_rate
    lease = services.settings.sending.manual_lease_minutes * 60
    left = (message.lease_until - now).total_seconds() if message.lease_until else 0.0
    revealed = message.state is MessageState.REVEALED
    sells = message.kind == MessageKind.COMMERCIAL
    person = review_case.build_contact_profile(reader, message.contact, now)
    return OpenManualMessage(
        message=message,
        person=person,
        # Only after the reveal, which is the moment when the message counts as possibly sent.
        link=numbers.build_wa_link(message.recipient, message.text) if revealed else "",
        seconds_left=round(max(0.0, left) / rate, 1),
        lease_seconds=round(lease / rate, 1),
        withdrawn=person.suppressed or (sells and person.permission in _NO_PERMISSION),
    )


def _find_withdrawn_entry(reader: Reader, was: str) -> ManualQueueEntry | None:
    """Return the message that was open, if an opt-out has cancelled it."""
    found = messages.get_message(reader, was) if was else None
    if found is None or (found.state, found.reason_code) != (
        MessageState.CANCELLED,
        _OPT_OUT_REASON,
    ):
        return None
    return ManualQueueEntry(found, console_queries.get_prospect_name(reader, found.contact))
