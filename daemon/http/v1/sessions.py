"""`/v1/sessions`: lists, creates, commands and deletes sessions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound, SessionQueueNotEmpty
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.sessions.queue_disposal import QueueChoice, QueueDisposal
from daemon.sessions.status import SessionView
from storage import sessions as rows
from storage.sessions import SessionHistoryEntry

routes = web.RouteTableDef()

SESSION_COMMANDS = frozenset({"start", "stop", "restart", "logout", "acknowledge"})


class NewSessionBody(RequestBody, frozen=True):
    """A session to add. `options` are defined by the channel."""

    name: str
    channel: str
    time_zone: str = ""
    options: Mapping[str, Any] = {}


class SessionDeletionQuery(RequestQuery, frozen=True):
    """What to do with unsent messages: cancel them, or move them to another session.

    `to` is that session, of the same number; with it, `queue` may be left out. Without unsent
    messages nothing has to be chosen.
    """

    queue: QueueChoice | None = None
    to: str = ""


class DeletedSession(ResponseBody, frozen=True):
    """The name of the deleted session."""

    deleted: str


@routes.get("/v1/sessions")
@operation(ResultPage[SessionView])
async def list_sessions(request: web.Request) -> web.Response:
    """Return every session."""
    return list_response(get_services(request).sessions.views())


@routes.post("/v1/sessions")
@operation(SessionView, status=201, body=NewSessionBody, errors=(Conflict,))
async def create_session(request: web.Request) -> web.Response:
    """Add a session; it is off until it is started."""
    asked, services = await read_body(request, NewSessionBody), get_services(request)
    zone = asked.time_zone or services.settings.daemon.time_zone
    made = await services.sessions.create(
        asked.name, asked.channel, zone, asked.options, who=request[ACTOR]
    )
    return json_response(made, status=201)


@routes.get("/v1/sessions/{name}")
@operation(SessionView, errors=(NotFound,))
async def get_session(request: web.Request) -> web.Response:
    """Return one session."""
    return json_response(get_services(request).sessions.view(request.match_info["name"]))


@routes.post(f"/v1/sessions/{{name}}/{{command:{'|'.join(sorted(SESSION_COMMANDS))}}}")
@operation(SessionView, errors=(NotFound, Conflict, BadRequest))
async def run_session_command(request: web.Request) -> web.Response:
    """Run a command; return the session after it. Start and stop are idempotent."""
    name, sessions = request.match_info["name"], get_services(request).sessions
    # The route's pattern lets nothing else in than the names of SESSION_COMMANDS.
    await getattr(sessions, request.match_info["command"])(name, request[ACTOR])
    return json_response(sessions.view(name))


@routes.delete("/v1/sessions/{name}")
@operation(
    DeletedSession, query=SessionDeletionQuery, errors=(Conflict, NotFound, SessionQueueNotEmpty)
)
async def delete_session(request: web.Request) -> web.Response:
    """Delete a session and its login; cancel or move its unsent messages. Idempotent.

    409 with their number where there are unsent messages and nothing was chosen.
    """
    name, query = request.match_info["name"], read_query(request, SessionDeletionQuery)
    choice = query.queue or (QueueChoice.MOVE if query.to else None)
    disposal = QueueDisposal(choice, query.to)
    await get_services(request).sessions.delete(name, request[ACTOR], disposal)
    return json_response(DeletedSession(name))


@routes.get("/v1/sessions/{name}/history")
@operation(ResultPage[SessionHistoryEntry], errors=(NotFound,))
async def list_session_history(request: web.Request) -> web.Response:
    """Return every transition of a session, oldest first."""
    name, services = request.match_info["name"], get_services(request)
    services.sessions.view(name)
    return list_response(
        await services.database.read(partial(rows.list_session_history, name=name))
    )
