"""`/v1/halt` and `/v1/resume`: the stop of everything."""

from __future__ import annotations

from aiohttp import web

from daemon.http.bodies import Because, answer, body
from daemon.http.control import WHO
from daemon.http.vitals import house_of

routes = web.RouteTableDef()


@routes.get("/v1/halt")
async def state(request: web.Request) -> web.Response:
    """Return the halt in force, null where there is none."""
    return answer({"halt": await house_of(request).halt.state()})


@routes.post("/v1/halt")
async def halt(request: web.Request) -> web.Response:
    """Stop everything that would go out; a second halt leaves the first as it is."""
    asked = await body(request, Because)
    return answer(await house_of(request).halt.halt(request[WHO], asked.reason))


@routes.post("/v1/resume")
async def resume(request: web.Request) -> web.Response:
    """Lift the halt; 409 where there is none."""
    asked = await body(request, Because)
    await house_of(request).halt.resume(request[WHO], asked.reason)
    return answer({"halt": None})
