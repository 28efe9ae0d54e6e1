"""`/v1/sessions`: phones, their orders, and their pairing codes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from daemon.bus import Lagged, Subscription
from daemon.errors import NotFound
from daemon.events import SessionChanged, SessionQrShown
from daemon.http.bodies import Body, answer, body
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.streams import endless, listening, send_lines
from daemon.http.vitals import house_of

routes = web.RouteTableDef()

ORDERS = frozenset({"start", "stop", "restart", "logout", "acknowledge"})


class NewSession(Body, frozen=True):
    """A session to add. `options` are the channel's own."""

    name: str
    channel: str
    time_zone: str = ""
    options: Mapping[str, Any] = {}


@routes.get("/v1/sessions")
async def list_(request: web.Request) -> web.Response:
    """Return every session as people and clients read it."""
    return answer({"items": house_of(request).sessions.views(), "next": None})


@routes.post("/v1/sessions")
async def create(request: web.Request) -> web.Response:
    """Add a session; it stays off until it is started."""
    asked, house = await body(request, NewSession), house_of(request)
    zone = asked.time_zone or house.settings.daemon.time_zone
    made = await house.sessions.create(
        asked.name, asked.channel, zone, asked.options, who=request[WHO]
    )
    return answer(made, status=201)


@routes.get("/v1/sessions/{name}")
async def get(request: web.Request) -> web.Response:
    """Return one session."""
    return answer(house_of(request).sessions.view(request.match_info["name"]))


@routes.post(f"/v1/sessions/{{name}}/{{order:{'|'.join(sorted(ORDERS))}}}")
async def order(request: web.Request) -> web.Response:
    """Carry out an order; start and stop are idempotent. Returns the session after it."""
    name, sessions = request.match_info["name"], house_of(request).sessions
    await getattr(sessions, request.match_info["order"])(name, request[WHO])
    return answer(sessions.view(name))


@routes.delete("/v1/sessions/{name}")
async def delete(request: web.Request) -> web.Response:
    """Delete a session and its login; messages and history stay."""
    name = request.match_info["name"]
    await house_of(request).sessions.delete(name, request[WHO])
    return answer({"deleted": name})


@routes.get("/v1/sessions/{name}/qr")
async def qr(request: web.Request) -> web.Response:
    """Return the pairing code on show; 404 while there is none."""
    name, house = request.match_info["name"], house_of(request)
    house.sessions.view(name)
    shown = house.sessions.qr(name)
    if shown is None:
        raise NotFound(
            f"The session {name} shows no code just now.",
            hint=f"Start it with: leadmaster sessions start {name}",
        )
    response = answer(_code(shown, house))
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/v1/sessions/{name}/pairing")
@endless
async def pairing(request: web.Request) -> web.StreamResponse:
    """Stream a pairing: the state and the code as they are, then each change."""
    name, house = request.match_info["name"], house_of(request)
    async with listening(request, house.bus) as subscription:
        house.sessions.view(name)
        return await send_lines(request, subscription, _pairing(house, name, subscription))


async def _pairing(
    house: House, name: str, subscription: Subscription
) -> AsyncIterator[dict[str, Any]]:
    yield {"type": SessionChanged.word, "data": house.sessions.view(name)}
    if shown := house.sessions.qr(name):
        yield {"type": SessionQrShown.word, "data": _code(shown, house)}
    try:
        async for published in subscription:
            event = published.event
            if event.subject != name:
                continue
            if isinstance(event, SessionQrShown):
                yield {"type": event.type, "data": _code(event, house)}
            elif isinstance(event, SessionChanged):
                yield {"type": event.type, "data": event.data}
    except Lagged:
        return


def _code(shown: SessionQrShown, house: House) -> dict[str, Any]:
    left = (shown.expires_at - house.clock.now()).total_seconds()
    return {**shown.data, "seconds_left": max(0.0, round(left, 1))}
