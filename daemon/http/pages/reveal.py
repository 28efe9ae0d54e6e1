"""`/reveal`: a person's whole number, to whoever asks for it by name; each asking is audited."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import Body, answer, body
from daemon.http.control import WHO
from daemon.http.vitals import house_of
from storage import audit, messages, prospects, sessions
from storage.tx import Reader

routes = web.RouteTableDef()


class Whose(Body, frozen=True):
    """A thing that has a number."""

    kind: Literal["message", "prospect", "session"]
    id: str


@routes.post("/reveal")
async def reveal(request: web.Request) -> web.Response:
    """Return the number of a message's recipient, a prospect or a session."""
    asked, house = await body(request, Whose), house_of(request)
    phone = await house.database.read(lambda reader: _phone(reader, asked))
    if phone is None:
        raise NotFound(f"There is no {asked.kind} {asked.id} with a number.")
    at, who = house.clock.now(), request[WHO]
    await house.database.write(
        lambda tx: audit.add(tx, at=at, who=who, action="number_revealed", subject=asked.id)
    )
    response = answer({"phone": phone})
    response.headers["Cache-Control"] = "no-store"
    return response


def _phone(reader: Reader, asked: Whose) -> str | None:
    match asked.kind:
        case "message":
            message = messages.get(reader, asked.id)
            return message.recipient if message else None
        case "prospect":
            prospect = prospects.get(reader, asked.id)
            return prospect.phone if prospect else None
        case "session":
            session = sessions.get(reader, asked.id)
            return session.phone if session else None
