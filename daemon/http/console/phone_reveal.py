"""`POST /reveal`: the whole phone number of a message, prospect or session; audited."""

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
    """The message, prospect or session whose phone number is asked for."""

    kind: Literal["message", "prospect", "session"]
    id: str


@routes.post("/reveal")
async def reveal_phone(request: web.Request) -> web.Response:
    """Return the number of a message's recipient, a prospect or a session."""
    body, services = await read_body(request, RevealPhoneBody), get_services(request)
    phone = await services.database.read(lambda reader: _get_phone(reader, body))
    if phone is None:
        raise NotFound(f"There is no {body.kind} {body.id} with a number.")
    at, who = services.clock.now(), request[ACTOR]
    # Stored before the answer: a number that can't be audited is not shown.
    await services.database.write(
        lambda tx: audit.insert_audit_entry(
            tx, at=at, who=who, action="number_revealed", subject=body.id
        )
    )
    response = json_response({"phone": phone})
    response.headers["Cache-Control"] = "no-store"
    return response


def _get_phone(reader: Reader, body: RevealPhoneBody) -> str | None:
    match body.kind:
        case "message":
            message = messages.get_message(reader, body.id)
            return message.recipient if message else None
        case "prospect":
            prospect = prospects.get_prospect(reader, body.id)
            return prospect.phone if prospect else None
        case "session":
            session = sessions.get_session(reader, body.id)
            return session.phone if session else None
