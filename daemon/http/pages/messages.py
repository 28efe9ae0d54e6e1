"""`/messages`: find one, see its whole story: why it was blocked, and when it will go."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from daemon.errors import BadRequest, NotFound
from daemon.http.bodies import PageQuery, query
from daemon.http.house import House
from daemon.http.pages import story, verdict
from daemon.http.pages.shell import page, piece, shell_of, told
from daemon.http.vitals import house_of
from daemon.outbox.forecast import forecast
from statemachines.message import CANCELLABLE, MessageState
from storage import decisions, inbound, listings, messages, prospects
from storage.tx import Reader

routes = web.RouteTableDef()


class Wanted(PageQuery, frozen=True):
    """Which messages to list: states with commas, a session, and words to look for."""

    state: str = ""
    session: str = ""
    text: str = ""


@routes.get("/messages")
@told
async def list_(request: web.Request) -> web.StreamResponse:
    """Show messages, newest first; a search asks for the list alone."""
    values = await _found(request)
    if "HX-Request" in request.headers:
        return piece(request, "pieces/message_list.html", **values)
    return await page(request, "messages.html", here="messages", **values)


async def _found(request: web.Request) -> dict[str, Any]:
    wanted, house = query(request, Wanted), house_of(request)
    states = _states(wanted.state)
    found = await house.database.read(
        lambda reader: listings.messages_like(
            reader,
            states=states,
            text=wanted.text.strip(),
            session=wanted.session,
            after=wanted.after,
            limit=wanted.limit + 1,
        )
    )
    shown = found[: wanted.limit]
    return {
        "found": shown,
        "wanted": wanted,
        "counts": await house.database.read(messages.counts),
        "next": shown[-1].message.id if len(found) > wanted.limit else "",
    }


def _reach(reader: Reader, contact: str) -> Any:  # noqa: ANN401 - the document as it was stored
    prospect = prospects.of_contact(reader, contact)
    return json.loads(prospect.score_explanation or "null") if prospect else None


def _states(words: str) -> list[MessageState]:
    try:
        return [MessageState(word) for word in words.split(",") if word]
    except ValueError as error:
        raise BadRequest(
            f"state: {error}.", hint=f"The states are: {', '.join(MessageState)}."
        ) from error


@routes.get("/messages/{id}")
@told
async def show(request: web.Request) -> web.StreamResponse:
    """Show one message: where it stands, why, when it will go, and everything that happened."""
    return await page(request, "message.html", here="messages", **await _one(request))


@routes.get("/pieces/messages/{id}")
@told
async def again(request: web.Request) -> web.StreamResponse:
    """Show what changes of one message."""
    return piece(request, "pieces/message.html", **await _one(request))


@routes.get("/pieces/messages/{id}/cancel")
@told
async def consequence(request: web.Request) -> web.StreamResponse:
    """Ask why a message is to be cancelled."""
    return piece(request, "pieces/cancel_message.html", message=request.match_info["id"])


async def _one(request: web.Request) -> dict[str, Any]:
    house, now = house_of(request), shell_of(request).now
    wanted = request.match_info["id"]
    values = await house.database.read(lambda reader: _read(reader, house, wanted))
    message = values["message"]
    if not isinstance(message, messages.MessageRecord):
        raise NotFound(f"There is no message {wanted}.")
    wait = await house.database.read(
        lambda reader: forecast(reader, house.sessions, house.pacing, message, now)
    )
    return {**values, "forecast": wait, "cancellable": message.state in CANCELLABLE}


def _read(reader: Reader, house: House, wanted: str) -> dict[str, Any]:
    message = messages.get(reader, wanted)
    if message is None:
        return {"message": None}
    looks = decisions.of_message(reader, wanted)
    ruleset = house.rulebook.gate.ruleset
    answers = inbound.of_contact(reader, message.contact)
    return {
        "message": message,
        "name": listings.name_of(reader, message.contact),
        "beats": story.of_message([dict(row) for row in messages.history(reader, wanted)], answers),
        "verdict": verdict.of_decision(looks[-1].document, ruleset, _reach(reader, message.contact))
        if looks
        else None,
        "judged_at": looks[-1].at if looks else None,
        "looks": len(looks),
    }
