"""`/v1/phases`: which phases of the service are closed, active, planned or deferred, and why."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import BadRequest, Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    ReasonText,
    RequestBody,
    ResultPage,
    json_response,
    list_response,
    read_body,
)
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.phases import PhaseStatus

routes = web.RouteTableDef()


class PhaseOpeningBody(RequestBody, frozen=True):
    """Why a phase may begin before those that it follows are closed."""

    decision: ReasonText


@routes.get("/v1/phases")
@operation(ResultPage[PhaseStatus])
async def list_phases(request: web.Request) -> web.Response:
    """Return every phase with what decides it, in numbers."""
    return list_response(await get_services(request).phases.list_phases())


@routes.post("/v1/phases/{number}/open")
@operation(PhaseStatus, body=PhaseOpeningBody, errors=(NotFound, Conflict, BadRequest))
async def open_phase(request: web.Request) -> web.Response:
    """Open a planned phase early; the decision is stored, shown and audited."""
    asked, number = await read_body(request, PhaseOpeningBody), request.match_info["number"]
    if not number.isascii() or not number.isdecimal():
        raise NotFound(f"There is no phase {number!r}.", hint="Phases are numbered from 1.")
    services = get_services(request)
    return json_response(
        await services.phases.open_phase(int(number), request[ACTOR], asked.decision)
    )
