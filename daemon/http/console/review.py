"""The `/review` page: the queue of what waits for a person's decision, one case at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

from aiohttp import web
from msgspec import Struct

from daemon.auth.identity import Scope
from daemon.errors import NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import PageContext, build_page_context, render_page, render_piece
from daemon.http.console.meanings import load_review_tabs
from daemon.http.console.review_case import (
    ReviewCase,
    build_review_case,
    find_other_reviewer,
)
from daemon.http.health import get_services
from statemachines.message import MessageState
from storage import console_queries, messages, prospects, review_queries
from storage.console_queries import ListedMessage
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.review_queries import ReviewQueue, WaitingProspect
from storage.tx import Reader

routes = web.RouteTableDef()

MAX_QUEUE_ENTRIES: Final = 100
"""The most cases of each kind that the queue lists; the headings say how many there are."""
_APPROVALS: Final = "approvals"
_NUMBERS: Final = "numbers"
REVIEW_DECISIONS: Final = frozenset({"approve", "reject"})
"""Decisions on a message or a prospect; the dialogs about a contact are in `dialogs`."""


class ReviewQueueEntry(Struct, frozen=True):
    """One case of the queue; `reason` is a sentence in the reader's language.

    Of a number, `messages` are how many wait for it, and `expires_at` when the first expires.
    """

    id: str
    name: str
    phone: str
    reason: str
    since: datetime
    taken_by: str = ""
    messages: int = 0
    expires_at: datetime | None = None


class ReviewQueueView(Struct, frozen=True, kw_only=True):
    """A queue: messages and prospects, or numbers; longest waiting first. The totals count all."""

    held: Sequence[ReviewQueueEntry] = ()
    prospects: Sequence[ReviewQueueEntry] = ()
    numbers: Sequence[ReviewQueueEntry] = ()
    held_total: int = 0
    prospects_total: int = 0
    numbers_total: int = 0

    @property
    def first(self) -> str:
        """Return the id of the first case; empty if nothing waits."""
        return next((entry.id for entry in (*self.held, *self.prospects, *self.numbers)), "")


class QueueQuery(RequestQuery, frozen=True):
    """Which queue is shown: what waits for a decision, or numbers to validate."""

    tab: Literal["approvals", "numbers"] = "approvals"


@routes.get("/review")
@render_errors
async def show_first_review_case(request: web.Request) -> web.StreamResponse:
    """Show what waits for a decision, and the case that has waited longest."""
    return await _render_first_case(request, _APPROVALS)


@routes.get("/review/numbers")
@render_errors
async def show_first_number(request: web.Request) -> web.StreamResponse:
    """Show the numbers that a person has to validate, and the most urgent one."""
    return await _render_first_case(request, _NUMBERS)


@routes.get("/review/unconfirmed")
@render_errors
async def show_unconfirmed_page(request: web.Request) -> web.StreamResponse:
    """Show the messages of which nobody knows whether they left."""
    return await render_page(
        request,
        "unconfirmed.html",
        active_page="review",
        tabs=await load_review_tabs(request),
        found=await _load_unconfirmed(request),
    )


@routes.get("/pieces/review/unconfirmed")
@render_errors
async def show_unconfirmed_list(request: web.Request) -> web.StreamResponse:
    """Show the messages of which nobody knows whether they left, to be refreshed."""
    found = await _load_unconfirmed(request)
    return render_piece(request, "pieces/unconfirmed_list.html", found=found)


@routes.get("/review/{id}")
@render_errors
async def show_review_page(request: web.Request) -> web.StreamResponse:
    """Show one case with its queue beside it."""
    case = await _load_review_case(request, request.match_info["id"])
    return await _render_case(request, _NUMBERS if case.number else _APPROVALS, case, chosen=True)


@routes.get("/pieces/review/queue")
@render_errors
async def show_review_queue(request: web.Request) -> web.StreamResponse:
    """Show a queue, to be refreshed."""
    queue = await _load_review_queue(request, read_query(request, QueueQuery).tab)
    return render_piece(request, "pieces/review_queue.html", queue=queue, case=None)


@routes.get("/pieces/review/cases/{id}")
@render_errors
async def show_review_case(request: web.Request) -> web.StreamResponse:
    """Show one case, to be refreshed."""
    found = await _load_review_case(request, request.match_info["id"])
    return render_piece(request, "pieces/review_case.html", case=found)


@routes.get("/pieces/review/cases/{id}/{decision}")
@render_errors
async def show_decision_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog of an approval or a rejection: what it does, and for what reason."""
    case_id, decision = request.match_info["id"], request.match_info["decision"]
    message, prospect, waiting = await get_services(request).database.read(
        lambda reader: _find_message_or_prospect(reader, case_id)
    )
    if decision not in REVIEW_DECISIONS or (message is None and prospect is None):
        raise NotFound(f"There is nothing to {decision} in {case_id}.")
    if message is not None:
        return render_piece(
            request,
            "pieces/message_decision.html",
            message=message,
            decision=decision,
            is_deferred=message.state is MessageState.DEFERRED,
        )
    return render_piece(
        request,
        "pieces/prospect_decision.html",
        prospect=prospect,
        decision=decision,
        waiting=waiting,
    )


def _find_message_or_prospect(
    reader: Reader, case_id: str
) -> tuple[MessageRecord | None, ProspectRecord | None, int]:
    """Return the message or prospect of an id, and how many messages wait for the prospect."""
    prospect = prospects.get_prospect(reader, case_id)
    waiting = messages.count_cancellable_messages(reader, prospect.contact) if prospect else 0
    return messages.get_message(reader, case_id), prospect, waiting


async def _load_review_case(request: web.Request, case_id: str) -> ReviewCase:
    services, now, who = get_services(request), build_page_context(request).now, request[ACTOR]
    return await services.database.read(
        lambda reader: build_review_case(reader, services, case_id, who, now)
    )


async def _render_first_case(request: web.Request, tab: str) -> web.StreamResponse:
    first = (await _load_review_queue(request, tab)).first
    case = await _load_review_case(request, first) if first else None
    return await _render_case(request, tab, case, chosen=False)


async def _render_case(
    request: web.Request, tab: str, case: ReviewCase | None, *, chosen: bool
) -> web.StreamResponse:
    return await render_page(
        request,
        "review.html",
        active_page="review",
        queue=await _load_review_queue(request, tab),
        case=case,
        chosen=chosen,
        tabs=await load_review_tabs(request),
        tab=tab,
    )


async def _load_unconfirmed(request: web.Request) -> list[ListedMessage]:
    return await get_services(request).database.read(
        lambda reader: console_queries.search_messages(
            reader, states=[MessageState.IN_DOUBT], limit=MAX_QUEUE_ENTRIES
        )
    )


async def _load_review_queue(request: web.Request, tab: str) -> ReviewQueueView:
    services, page = get_services(request), build_page_context(request)
    band, now = services.rulesets.compiled.review_band, page.now
    queue, waiting, waiting_total = await services.database.read(
        lambda reader: (
            review_queries.get_review_queue(reader, MAX_QUEUE_ENTRIES),
            review_queries.list_waiting_prospects(reader, band, now, MAX_QUEUE_ENTRIES),
            review_queries.count_waiting_prospects(reader, band, now),
        )
    )
    if tab == _NUMBERS:
        numbers = _number_entries(queue, page)
        return ReviewQueueView(numbers=numbers, numbers_total=queue.number_count)
    # Held messages need no right to read prospects.
    may_read = page.may(Scope.PROSPECTS_READ)
    return ReviewQueueView(
        held=_held_entries(queue, page, request[ACTOR]),
        prospects=_prospect_entries(waiting, page) if may_read else [],
        held_total=queue.message_count,
        prospects_total=waiting_total.count if may_read else 0,
    )


def _held_entries(found: ReviewQueue, page: PageContext, who: str) -> list[ReviewQueueEntry]:
    return [
        ReviewQueueEntry(
            listed.message.id,
            listed.name,
            listed.message.recipient,
            page.words.translate(listed.message.sentence),
            listed.message.changed_at,
            find_other_reviewer(listed.message, who, page.now),
        )
        for listed in found.messages
    ]


def _prospect_entries(
    found: Iterable[WaitingProspect], page: PageContext
) -> list[ReviewQueueEntry]:
    return [
        ReviewQueueEntry(
            each.prospect.id,
            each.prospect.name,
            each.prospect.phone,
            page.words.translate(each.sentence),
            each.since,
        )
        for each in found
    ]


def _number_entries(found: ReviewQueue, page: PageContext) -> list[ReviewQueueEntry]:
    return [
        ReviewQueueEntry(
            each.prospect.id,
            each.prospect.name,
            each.prospect.phone,
            page.words.translate(each.sentence),
            each.since,
            messages=len(each.messages),
            expires_at=each.messages[0].expires_at if each.messages else None,
        )
        for each in found.numbers
    ]
