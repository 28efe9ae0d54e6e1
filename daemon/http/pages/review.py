"""`/review`: what waits for a person's word, one case at a time, by keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from daemon.auth.scopes import Scope
from daemon.errors import NotFound
from daemon.http.control import WHO
from daemon.http.pages.case import Case, case_of, somebody_else, why_by_hand
from daemon.http.pages.shell import Shell, page, piece, shell_of, told
from daemon.http.vitals import house_of
from statemachines.message import MessageState
from storage import cases, lives, messages, prospects
from storage.cases import Queue, WaitingProspect
from storage.messages import MessageRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader

routes = web.RouteTableDef()

MOST: Final = 100
"""Cases of each kind that the queue lists; the heads say how many there are in all."""
WORDS: Final = frozenset({"approve", "reject"})
"""What is said about a message; what is said about a person is in `deeds`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case in the queue; `why` is a sentence in the language of whoever looks."""

    id: str
    name: str
    phone: str
    why: str
    since: datetime
    taken_by: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The queue: messages, then prospects, then numbers; longest waiting first. Counts: of all."""

    held: list[Row]
    prospects: list[Row]
    numbers: list[Row]
    held_in_all: int
    prospects_in_all: int
    numbers_in_all: int

    @property
    def first(self) -> str:
        """Return the case to begin with; empty where nothing waits."""
        return next((row.id for row in (*self.held, *self.prospects, *self.numbers)), "")


@routes.get("/review")
@told
async def first(request: web.Request) -> web.StreamResponse:
    """Show the queue, and the case that has waited longest."""
    rows = await _rows(request)
    case = await _case(request, rows.first) if rows.first else None
    return await page(request, "review.html", here="review", rows=rows, case=case, chosen=False)


@routes.get("/review/{id}")
@told
async def one(request: web.Request) -> web.StreamResponse:
    """Show one case, with the queue beside it."""
    case = await _case(request, request.match_info["id"])
    rows = await _rows(request)
    return await page(request, "review.html", here="review", rows=rows, case=case, chosen=True)


@routes.get("/pieces/review/queue")
@told
async def queue(request: web.Request) -> web.StreamResponse:
    """Show the queue as it is now."""
    return piece(request, "pieces/review_queue.html", rows=await _rows(request), case=None)


@routes.get("/pieces/review/cases/{id}")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show one case as it is now."""
    found = await _case(request, request.match_info["id"])
    return piece(request, "pieces/review_case.html", case=found)


@routes.get("/pieces/review/cases/{id}/{word}")
@told
async def ask(request: web.Request) -> web.StreamResponse:
    """Ask for the reason of an approval or a rejection, and tell what it would do."""
    wanted, word = request.match_info["id"], request.match_info["word"]
    message, prospect, waiting = await house_of(request).database.read(
        lambda reader: _meant(reader, wanted)
    )
    if word not in WORDS or (message is None and prospect is None):
        raise NotFound(f"There is nothing to {word} in {wanted}.")
    if message is not None:
        waits = message.state is MessageState.DEFERRED
        return piece(request, "pieces/review_word.html", message=message, word=word, waits=waits)
    template = "pieces/prospect_word.html"
    return piece(request, template, prospect=prospect, word=word, waiting=waiting)


def _meant(reader: Reader, wanted: str) -> tuple[MessageRecord | None, ProspectRecord | None, int]:
    """Return the message or the prospect of an id, and how many messages wait for the latter."""
    prospect = prospects.get(reader, wanted)
    waiting = lives.waiting(reader, prospect.contact) if prospect else 0
    return messages.get(reader, wanted), prospect, waiting


async def _case(request: web.Request, wanted: str) -> Case:
    house, now, who = house_of(request), shell_of(request).now, request[WHO]
    return await house.database.read(lambda reader: case_of(reader, house, wanted, who, now))


async def _rows(request: web.Request) -> Rows:
    house, shell = house_of(request), shell_of(request)
    band, now = house.rulebook.judges.review_band, shell.now
    found, asked, asked_in_all = await house.database.read(
        lambda reader: (
            cases.queue(reader, MOST),
            cases.waiting_prospects(reader, band, now, MOST),
            cases.count_waiting_prospects(reader, band, now),
        )
    )
    known = shell.may(Scope.PROSPECTS_READ)
    return Rows(
        held=_held(found, shell, request[WHO]),
        prospects=_asked(asked, shell) if known else [],
        numbers=_numbers(found, shell) if known else [],
        held_in_all=found.messages_in_all,
        prospects_in_all=asked_in_all if known else 0,
        numbers_in_all=found.numbers_in_all if known else 0,
    )


def _held(found: Queue, shell: Shell, who: str) -> list[Row]:
    return [
        Row(
            listed.message.id,
            listed.name,
            listed.message.recipient,
            shell.words.say(listed.message.sentence),
            listed.message.changed_at,
            somebody_else(listed.message, who, shell.now),
        )
        for listed in found.messages
    ]


def _asked(found: Iterable[WaitingProspect], shell: Shell) -> list[Row]:
    return [
        Row(
            each.prospect.id,
            each.prospect.name,
            each.prospect.phone,
            shell.words.say(each.sentence),
            each.since,
        )
        for each in found
    ]


def _numbers(found: Queue, shell: Shell) -> list[Row]:
    return [
        Row(
            prospect.id,
            prospect.name,
            prospect.phone,
            shell.words(why_by_hand(prospect)),
            prospect.created_at,
        )
        for prospect in found.numbers
    ]
