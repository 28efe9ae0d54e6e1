"""`/v1/halt` and `/v1/resume`: stops all sending, and starts it again."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonBody, ResponseBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class HaltStatus(ResponseBody, frozen=True):
    """The halt in force; null where there is none."""

    halt: HaltRecord | None


@routes.get("/v1/halt")
@operation(HaltStatus)
async def get_halt(request: web.Request) -> web.Response:
    """Return the halt in force, null where there is none."""
    return json_response(HaltStatus(await get_services(request).halt.get_current()))


@routes.post("/v1/halt")
@operation(HaltRecord, body=ReasonBody)
async def halt_sending(request: web.Request) -> web.Response:
    """Stop all sending; idempotent: a second halt leaves the first as it is."""
    asked = await read_body(request, ReasonBody)
    return json_response(await get_services(request).halt.halt(request[ACTOR], asked.reason))


@routes.post("/v1/resume")
@operation(HaltStatus, body=ReasonBody, errors=(Conflict,))
async def resume_sending(request: web.Request) -> web.Response:
    """Lift the halt; 409 where there is none."""
    asked = await read_body(request, ReasonBody)
    await get_services(request).halt.resume(request[ACTOR], asked.reason)
    return json_response(HaltStatus(None))
