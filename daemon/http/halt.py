"""`/v1/halt` and `/v1/resume`: the stop of everything."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict
from daemon.http.bodies import Answer, ReasonBody, answer, body
from daemon.http.control import WHO
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class HaltStatus(Answer, frozen=True):
    """The halt in force; null where messages may go."""

    halt: HaltRecord | None


@routes.get("/v1/halt")
@operation(HaltStatus)
async def state(request: web.Request) -> web.Response:
    """Return the halt in force, null where there is none."""
    return answer(HaltStatus(await house_of(request).halt.state()))


@routes.post("/v1/halt")
@operation(HaltRecord, body=ReasonBody)
async def halt(request: web.Request) -> web.Response:
    """Stop everything that would go out; a second halt leaves the first as it is."""
    asked = await body(request, ReasonBody)
    return answer(await house_of(request).halt.halt(request[WHO], asked.reason))


@routes.post("/v1/resume")
@operation(HaltStatus, body=ReasonBody, refuses=(Conflict,))
async def resume(request: web.Request) -> web.Response:
    """Lift the halt; 409 where there is none."""
    asked = await body(request, ReasonBody)
    await house_of(request).halt.resume(request[WHO], asked.reason)
    return answer(HaltStatus(None))
