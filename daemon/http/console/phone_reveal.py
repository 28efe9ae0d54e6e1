"""`POST /reveal`: the whole phone number of a message, prospect or session.

Each request is audited.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestBody, json_response, read_body
from daemon.http.health import get_services
from storage import audit, messages, prospects, sessions
from storage.tx import Reader

routes = web.RouteTableDef()


class RevealPhoneBody(RequestBody, frozen=True):
    """A thing that has a number."""

    kind: Literal["message", "prospect", "session"]
    id: str


@routes.post("/reveal")
async def reveal_phone(request: web.Request) -> web.Response:
    """Return the number of a message's recipient, a prospect or a session."""
    asked, house = await read_body(request, RevealPhoneBody), get_services(request)
    phone = await house.database.read(lambda reader: _get_phone(reader, asked))
    if phone is None:
        raise NotFound(f"There is no {asked.kind} {asked.id} with a number.")
    at, who = house.clock.now(), request[ACTOR]
    await house.database.write(
        lambda tx: audit.insert_audit_entry(
            tx, at=at, who=who, action="number_revealed", subject=asked.id
        )
    )
    response = json_response({"phone": phone})
    response.headers["Cache-Control"] = "no-store"
    return response


def _get_phone(reader: Reader, asked: RevealPhoneBody) -> str | None:
    match asked.kind:
        case "message":
            message = messages.get_message(reader, asked.id)
            return message.recipient if message else None
        case "prospect":
            prospect = prospects.get_prospect(reader, asked.id)
            return prospect.phone if prospect else None
        case "session":
            session = sessions.get_session(reader, asked.id)
            return session.phone if session else None
