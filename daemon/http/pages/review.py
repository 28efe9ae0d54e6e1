"""`/review`: what waits for a person's word, one case at a time, by keyboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from daemon.auth.scopes import Scope
from daemon.errors import NotFound
from daemon.http.bodies import Query, query
from daemon.http.control import WHO
from daemon.http.pages.case import Case, case_of, why_by_hand
from daemon.http.pages.shell import Shell, page, piece, shell_of, told
from daemon.http.vitals import house_of
from statemachines.message import MessageState
from storage import cases, messages
from storage.cases import Queue
from storage.messages import MessageRecord

routes = web.RouteTableDef()

MOST: Final = 100
"""Cases of each kind that the queue lists; the heads say how many there are in all."""
WORDS: Final = frozenset({"approve", "reject"})
"""What is said about a message; what is said about a person is in `deeds`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case in the queue. `why` is the server's sentence, or the key of a word of the page."""

    id: str
    name: str
    phone: str
    why: str
    since: datetime
    taken_by: str = ""


class Chosen(Query, frozen=True):
    """Which case is open beside the queue."""

    case: str = ""


@routes.get("/review")
@told
async def first(request: web.Request) -> web.StreamResponse:
    """Show the queue, and the case that has waited longest."""
    rows = await _queue(request)
    wanted = next((row.id for row in (*rows["held"], *rows["numbers"])), "")
    case = await _case(request, wanted) if wanted else None
    return await page(request, "review.html", here="review", case=case, chosen=False, **rows)


@routes.get("/review/{id}")
@told
async def one(request: web.Request) -> web.StreamResponse:
    """Show one case, with the queue beside it."""
    case = await _case(request, request.match_info["id"])
    rows = await _queue(request)
    return await page(request, "review.html", here="review", case=case, chosen=True, **rows)


@routes.get("/pieces/review/queue")
@told
async def queue(request: web.Request) -> web.StreamResponse:
    """Show the queue as it is now."""
    chosen = query(request, Chosen).case
    return piece(request, "pieces/review_queue.html", at=chosen, **await _queue(request))


@routes.get("/pieces/review/cases/{id}")
@told
async def case(request: web.Request) -> web.StreamResponse:
    """Show one case as it is now."""
    found = await _case(request, request.match_info["id"])
    return piece(request, "pieces/review_case.html", case=found)


@routes.get("/pieces/review/cases/{id}/{word}")
@told
async def ask(request: web.Request) -> web.StreamResponse:
    """Ask for the reason of an approval or a rejection, and tell what it would do."""
    wanted, word = request.match_info["id"], request.match_info["word"]
    message = await house_of(request).database.read(lambda reader: messages.get(reader, wanted))
    if word not in WORDS or message is None:
        raise NotFound(f"There is nothing to {word} in {wanted}.")
    waits = message.state is MessageState.DEFERRED
    return piece(request, "pieces/review_word.html", message=message, word=word, waits=waits)


async def _case(request: web.Request, wanted: str) -> Case:
    house, now, who = house_of(request), shell_of(request).now, request[WHO]
    return await house.database.read(lambda reader: case_of(reader, house, wanted, who, now))


async def _queue(request: web.Request) -> dict[str, list[Row]]:
    house, shell = house_of(request), shell_of(request)
    found = await house.database.read(lambda reader: cases.queue(reader, MOST))
    return {
        "held": _held(found, shell, request[WHO]),
        "numbers": _numbers(found, shell) if shell.may(Scope.PROSPECTS_READ) else [],
        "held_in_all": found.messages_in_all,
        "numbers_in_all": found.numbers_in_all,
    }


def _held(found: Queue, shell: Shell, who: str) -> list[Row]:
    return [
        Row(
            listed.message.id,
            listed.name,
            listed.message.recipient,
            shell.words.say(listed.message.sentence),
            listed.message.changed_at,
            _looking(listed.message, who, shell.now),
        )
        for listed in found.messages
    ]


def _looking(message: MessageRecord, who: str, now: datetime) -> str:
    leased = message.lease_until is not None and message.lease_until > now
    return message.taken_by or "" if leased and message.taken_by != who else ""


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
