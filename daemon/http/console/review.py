"""The `/review` page: the queue of what waits for a person's decision, one case at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from daemon.auth.identity import Scope
from daemon.errors import NotFound
from daemon.http.authentication import ACTOR
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
from storage import messages, prospects, review_queries
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.review_queries import ReviewQueue, WaitingProspect
from storage.tx import Reader

routes = web.RouteTableDef()

MAX_QUEUE_ENTRIES: Final = 100
"""The most cases of each kind that the queue lists; the headings say how many there are."""
REVIEW_DECISIONS: Final = frozenset({"approve", "reject"})
"""Decisions on a message or a prospect; the dialogs about a contact are in `dialogs`."""


@dataclass(frozen=True, slots=True)
class ReviewQueueEntry:
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


@dataclass(frozen=True, slots=True)
class ReviewQueueView:
    """The queue: messages, prospects, numbers; longest waiting first. The totals count all."""

    held: list[ReviewQueueEntry]
    prospects: list[ReviewQueueEntry]
    numbers: list[ReviewQueueEntry]
    held_total: int
    prospects_total: int
    numbers_total: int

    @property
    def first(self) -> str:
        """Return the id of the first case; empty if nothing waits."""
        return next((entry.id for entry in (*self.held, *self.prospects, *self.numbers)), "")


@routes.get("/review")
@render_errors
async def show_first_review_case(request: web.Request) -> web.StreamResponse:
    """Show the queue and the case that has waited longest."""
    queue = await _load_review_queue(request)
    case = await _load_review_case(request, queue.first) if queue.first else None
    return await render_page(
        request,
        "review.html",
        active_page="review",
        queue=queue,
        case=case,
        chosen=False,
        tabs=await load_review_tabs(request),
        tab="approvals",
    )


@routes.get("/review/{id}")
@render_errors
async def show_review_page(request: web.Request) -> web.StreamResponse:
    """Show one case with the queue beside it."""
    case = await _load_review_case(request, request.match_info["id"])
    queue = await _load_review_queue(request)
    return await render_page(
        request,
        "review.html",
        active_page="review",
        queue=queue,
        case=case,
        chosen=True,
        tabs=await load_review_tabs(request),
        tab="approvals",
    )


@routes.get("/pieces/review/queue")
@render_errors
async def show_review_queue(request: web.Request) -> web.StreamResponse:
    """Show the queue, to be refreshed."""
    return render_piece(
        request, "pieces/review_queue.html", queue=await _load_review_queue(request), case=None
    )


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


async def _load_review_queue(request: web.Request) -> ReviewQueueView:
    services, page = get_services(request), build_page_context(request)
    band, now = services.rulesets.compiled.review_band, page.now
    queue, waiting, waiting_total = await services.database.read(
        lambda reader: (
            review_queries.get_review_queue(reader, MAX_QUEUE_ENTRIES),
            review_queries.list_waiting_prospects(reader, band, now, MAX_QUEUE_ENTRIES),
            review_queries.count_waiting_prospects(reader, band, now),
        )
    )
    # Held messages need no right to read prospects; the other two queues are prospects.
    may_read = page.may(Scope.PROSPECTS_READ)
    return ReviewQueueView(
        held=_held_entries(queue, page, request[ACTOR]),
        prospects=_prospect_entries(waiting, page) if may_read else [],
        numbers=_number_entries(queue, page) if may_read else [],
        held_total=queue.message_count,
        prospects_total=waiting_total if may_read else 0,
        numbers_total=queue.number_count if may_read else 0,
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
