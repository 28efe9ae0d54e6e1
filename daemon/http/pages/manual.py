"""`/manual`: send by hand, one message at a time: take it, open the chat, say how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from daemon.api import numbers
from daemon.errors import NotFound
from daemon.http.bodies import Query, query
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.pages import case
from daemon.http.pages.case import Person
from daemon.http.pages.shell import page, piece, shell_of, told
from daemon.http.vitals import house_of
from statemachines.message import MessageState
from storage import listings, messages, queue, suppressions
from storage.messages import MessageRecord
from storage.tx import Reader

routes = web.RouteTableDef()

MOST: Final = 100
_OPT_OUT: Final = "suppressed"


class Before(Query, frozen=True):
    """Which message was open when the page was last drawn."""

    was: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One message in the list, and the name of whom it is for."""

    message: MessageRecord
    name: str


@dataclass(frozen=True, slots=True)
class Open:
    """The message that whoever looks has in hand. `link` opens the chat, once it was revealed.

    The seconds of its lease are those of the watch on the wall. `withdrawn`: they opted out.
    """

    message: MessageRecord
    person: Person
    link: str
    seconds_left: float
    lease_seconds: float
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """What the page shows: the one in hand, what can be taken, what others have, what is unclear.

    `stopped` is a message that was in hand until they opted out.
    """

    open: Open | None
    stopped: Row | None
    free: list[Row]
    others: list[Row]
    doubts: list[Row]


@routes.get("/manual")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show what is to be sent by hand."""
    return await page(request, "manual.html", here="manual", desk=await _desk(request, ""))


@routes.get("/pieces/manual")
@told
async def again(request: web.Request) -> web.StreamResponse:
    """Show it as it is now."""
    desk = await _desk(request, query(request, Before).was)
    return piece(request, "pieces/manual.html", desk=desk)


@routes.get("/pieces/manual/{id}/not-sent")
@told
async def why_not(request: web.Request) -> web.StreamResponse:
    """Ask why a message was not sent."""
    wanted = request.match_info["id"]
    if await house_of(request).database.read(lambda reader: messages.get(reader, wanted)) is None:
        raise NotFound(f"There is no message {wanted}.")
    return piece(request, "pieces/not_sent.html", message=wanted)


@routes.get("/pieces/messages/{id}/settle")
@told
async def how_it_ended(request: web.Request) -> web.StreamResponse:
    """Ask how a message in doubt ended."""
    wanted = request.match_info["id"]
    if await house_of(request).database.read(lambda reader: messages.get(reader, wanted)) is None:
        raise NotFound(f"There is no message {wanted}.")
    return piece(request, "pieces/settle.html", message=wanted)


async def _desk(request: web.Request, was: str) -> Desk:
    house, now, who = house_of(request), shell_of(request).now, request[WHO]
    return await house.database.read(lambda reader: desk_of(reader, house, who, was, now))


def desk_of(reader: Reader, house: House, who: str, was: str, now: datetime) -> Desk:
    """Return the manual desk as one person sees it."""
    rows = [
        Row(each, listings.name_of(reader, each.contact)) for each in queue.by_hand(reader, MOST)
    ]
    in_hand = {MessageState.TAKEN, MessageState.REVEALED}
    own = next((r for r in rows if r.message.state in in_hand and r.message.taken_by == who), None)
    return Desk(
        open=_open(reader, house, own.message, now) if own else None,
        stopped=_stopped(reader, was) if own is None else None,
        free=[row for row in rows if row.message.state is MessageState.CLEARED],
        others=[row for row in rows if row.message.state in in_hand and row is not own],
        doubts=[row for row in rows if row.message.state is MessageState.IN_DOUBT],
    )


def _open(reader: Reader, house: House, message: MessageRecord, now: datetime) -> Open:
    rate = house.settings.clock.rate if house.settings.clock.start else 1.0
    lease = house.settings.sending.manual_lease_minutes * 60
    left = (message.lease_until - now).total_seconds() if message.lease_until else 0.0
    revealed = message.state is MessageState.REVEALED
    return Open(
        message=message,
        person=case.person_of(reader, message.contact, now),
        link=numbers.wa_link(message.recipient, message.text) if revealed else "",
        seconds_left=round(max(0.0, left) / rate, 1),
        lease_seconds=round(lease / rate, 1),
        withdrawn=suppressions.is_suppressed(reader, message.contact),
    )


def _stopped(reader: Reader, was: str) -> Row | None:
    """Return what was in hand, where an opt-out took it away."""
    found = messages.get(reader, was) if was else None
    if found is None or (found.state, found.reason_code) != (MessageState.CANCELLED, _OPT_OUT):
        return None
    return Row(found, listings.name_of(reader, found.contact))
