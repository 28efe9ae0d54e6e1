"""The tab of the review where a person says what contacts meant, one message at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aiohttp import web
from msgspec import Struct

from daemon.errors import NotFound
from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import build_page_context, render_page, render_piece
from daemon.http.console.navigation import count_tabs
from daemon.http.console.review_case import ContactProfile, build_contact_profile
from daemon.http.health import get_services
from daemon.inbound.classification import (
    MEANINGS,
    ONCE,
    list_changeable_reviews,
    list_possible_meanings,
)
from storage import inbound_reviews, messages, review_queries
from storage.inbound_reviews import InboundForReview, Meaning
from storage.tx import Reader

routes = web.RouteTableDef()

MAX_QUEUE_ENTRIES: Final = 100
"""The most messages that the queue lists; the tab says how many there are."""
_MAX_ANSWERED: Final = 10
"""How many of the latest answers the queue lists, to be changed."""


class MeaningQueueView(Struct, frozen=True):
    """Messages to read, complaints first, opt-outs that may be corrected, and latest answers."""

    waiting: list[InboundForReview]
    correctable: list[InboundForReview]
    answered: list[InboundForReview]
    waiting_total: int

    @property
    def first(self) -> str:
        """Return the id of the first message to read; empty if none waits."""
        return self.waiting[0].id if self.waiting else ""


class MeaningCase(Struct, frozen=True):
    """A message of a contact with what is known of them, and what it may mean.

    ``before``, ``quote`` and ``after`` are its text around the words that show the cause.
    ``meanings`` is empty where nobody can answer it any more. ``asks`` says that each answer has a
    dialog, because it can be given once.
    """

    message: InboundForReview
    person: ContactProfile
    meanings: tuple[Meaning, ...]
    before: str
    quote: str
    after: str
    asks: bool

    @property
    def id(self) -> str:
        """Return the id of the message."""
        return self.message.id

    @property
    def answers(self) -> list[tuple[str, Meaning]]:
        """Return the possible meanings with their keys, which a change of the answer keeps."""
        keyed = enumerate(MEANINGS[self.message.cause], start=1)
        return [(str(key), meaning) for key, meaning in keyed if meaning in self.meanings]


class TabQuery(RequestQuery, frozen=True):
    """Which tab is open."""

    tab: str = "approvals"


@routes.get("/review/meanings")
@render_errors
async def show_first_meaning(request: web.Request) -> web.StreamResponse:
    """Show the messages to read, and the first one opened."""
    queue = await _load_queue(request)
    case = await _load_case(request, queue.first) if queue.first else None
    return await _render_page(request, queue, case, chosen=False)


@routes.get("/review/meanings/{id}")
@render_errors
async def show_meaning_page(request: web.Request) -> web.StreamResponse:
    """Show one message with the others beside it."""
    case = await _load_case(request, request.match_info["id"])
    return await _render_page(request, await _load_queue(request), case, chosen=True)


@routes.get("/pieces/review/tabs")
@render_errors
async def show_review_tabs(request: web.Request) -> web.StreamResponse:
    """Show the tabs with their counts, to be refreshed."""
    query = read_query(request, TabQuery)
    return render_piece(
        request, "pieces/review_tabs.html", tabs=await load_review_tabs(request), tab=query.tab
    )


@routes.get("/pieces/review/meanings/queue")
@render_errors
async def show_meaning_queue(request: web.Request) -> web.StreamResponse:
    """Show the queue, to be refreshed."""
    queue = await _load_queue(request)
    return render_piece(request, "pieces/meaning_queue.html", queue=queue, case=None)


@routes.get("/pieces/review/meanings/cases/{id}")
@render_errors
async def show_meaning_case(request: web.Request) -> web.StreamResponse:
    """Show one message, to be refreshed."""
    case = await _load_case(request, request.match_info["id"])
    return render_piece(request, "pieces/meaning_case.html", case=case)


@routes.get("/pieces/review/meanings/cases/{id}/{meaning}")
@render_errors
async def show_meaning_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog of an answer that can be given once: what it does, and for what reason."""
    case, wanted = await _load_case(request, request.match_info["id"]), request.match_info
    if not case.asks or wanted["meaning"] not in case.meanings:
        raise NotFound(f"There is nothing to answer in {case.id}.")
    waiting = await get_services(request).database.read(
        lambda reader: messages.count_cancellable_messages(reader, case.message.contact)
    )
    return render_piece(
        request,
        "pieces/meaning_dialog.html",
        case=case,
        meaning=Meaning(wanted["meaning"]),
        waiting=waiting,
    )


async def load_review_tabs(request: web.Request) -> dict[str, int]:
    """Return how many cases each tab of the review has."""
    services, page = get_services(request), build_page_context(request)
    band = services.rulesets.compiled.review_band
    counts = await services.database.read(
        lambda reader: review_queries.read_review_counts(reader, band, page.now)
    )
    return count_tabs(counts, page.identity.scopes)


async def _render_page(
    request: web.Request, queue: MeaningQueueView, case: MeaningCase | None, *, chosen: bool
) -> web.StreamResponse:
    return await render_page(
        request,
        "meanings.html",
        active_page="review",
        queue=queue,
        case=case,
        chosen=chosen,
        tabs=await load_review_tabs(request),
        tab="meanings",
    )


async def _load_queue(request: web.Request) -> MeaningQueueView:
    return await get_services(request).database.read(
        lambda reader: MeaningQueueView(
            inbound_reviews.list_waiting_reviews(reader, MAX_QUEUE_ENTRIES),
            inbound_reviews.list_correctable_reviews(reader, MAX_QUEUE_ENTRIES),
            list_changeable_reviews(reader, _MAX_ANSWERED),
            inbound_reviews.count_waiting_reviews(reader),
        )
    )


async def _load_case(request: web.Request, message_id: str) -> MeaningCase:
    now = build_page_context(request).now
    message, person = await get_services(request).database.read(
        lambda reader: _read_case(reader, message_id, now)
    )
    return build_meaning_case(message, person)


def build_meaning_case(message: InboundForReview, person: ContactProfile) -> MeaningCase:
    """Return a message with what it may mean."""
    before, quote, after = split_text(message.text, message.quote)
    return MeaningCase(
        message=message,
        person=person,
        meanings=list_possible_meanings(message),
        before=before,
        quote=quote,
        after=after,
        asks=message.cause in ONCE,
    )


def _read_case(
    reader: Reader, message_id: str, now: datetime
) -> tuple[InboundForReview, ContactProfile]:
    message = inbound_reviews.get_inbound_for_review(reader, message_id)
    if message is None:
        raise NotFound(
            f"There is no message {message_id} to read.",
            hint="Somebody may have decided it already.",
        )
    return message, build_contact_profile(reader, message.contact, now)


def split_text(text: str, quote: str) -> tuple[str, str, str]:
    """Return the text before the words that are quoted, these, and the text after them."""
    before, found, after = text.partition(quote) if quote else ("", "", "")
    return (before, found, after) if found else (text, "", "")
