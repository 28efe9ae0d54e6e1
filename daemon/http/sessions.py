"""`/v1/sessions`: phones, and what they are told to do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.bodies import Answer, Body, ResultPage, answer, body, whole
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from daemon.sessions.view import SessionView
from storage import sessions as rows
from storage.sessions import SessionHistoryEntry

routes = web.RouteTableDef()

ORDERS = frozenset({"start", "stop", "restart", "logout", "acknowledge"})


class NewSessionBody(Body, frozen=True):
    """A session to add. `options` are the channel's own."""

    name: str
    channel: str
    time_zone: str = ""
    options: Mapping[str, Any] = {}


class DeletedSession(Answer, frozen=True):
    """What is not there any more."""

    deleted: str


@routes.get("/v1/sessions")
@operation(ResultPage[SessionView])
async def list_(request: web.Request) -> web.Response:
    """Return every session as people and clients read it."""
    return whole(house_of(request).sessions.views())


@routes.post("/v1/sessions")
@operation(SessionView, status=201, body=NewSessionBody, refuses=(Conflict,))
async def create(request: web.Request) -> web.Response:
    """Add a session; it stays off until it is started."""
    asked, house = await body(request, NewSessionBody), house_of(request)
    zone = asked.time_zone or house.settings.daemon.time_zone
    made = await house.sessions.create(
        asked.name, asked.channel, zone, asked.options, who=request[WHO]
    )
    return answer(made, status=201)


@routes.get("/v1/sessions/{name}")
@operation(SessionView, refuses=(NotFound,))
async def get(request: web.Request) -> web.Response:
    """Return one session."""
    return answer(house_of(request).sessions.view(request.match_info["name"]))


@routes.post(f"/v1/sessions/{{name}}/{{order:{'|'.join(sorted(ORDERS))}}}")
@operation(SessionView, refuses=(NotFound, Conflict, BadRequest))
async def order(request: web.Request) -> web.Response:
    """Carry out an order; start and stop are idempotent. Returns the session after it."""
    name, sessions = request.match_info["name"], house_of(request).sessions
    await getattr(sessions, request.match_info["order"])(name, request[WHO])
    return answer(sessions.view(name))


@routes.delete("/v1/sessions/{name}")
@operation(DeletedSession, refuses=(Conflict,))
async def delete(request: web.Request) -> web.Response:
    """Delete a session and its login; messages and history stay. Idempotent."""
    name = request.match_info["name"]
    await house_of(request).sessions.delete(name, request[WHO])
    return answer(DeletedSession(name))


@routes.get("/v1/sessions/{name}/history")
@operation(ResultPage[SessionHistoryEntry], refuses=(NotFound,))
async def history(request: web.Request) -> web.Response:
    """Return every move of a session's regions, oldest first."""
    name, house = request.match_info["name"], house_of(request)
    house.sessions.view(name)
    return whole(await house.database.read(partial(rows.history, name=name)))
