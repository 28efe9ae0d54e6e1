"""`/v1/status`: the whole house at a glance."""

from __future__ import annotations

from importlib.metadata import version

from aiohttp import web

from daemon.http.bodies import answer
from daemon.http.vitals import VITALS, house_of
from storage import messages

routes = web.RouteTableDef()


@routes.get("/v1/status")
async def status(request: web.Request) -> web.Response:
    """Return version, times, doors, halt, sessions, queue depths, and what blocks readiness."""
    house, vitals = house_of(request), request.app[VITALS]
    return answer(
        {
            "version": version("leadmaster"),
            "instance": house.database.instance_id,
            "epoch": house.database.epoch,
            "started_at": house.started_at,
            "now": house.clock.now(),
            "doors": vitals.doors,
            "blockers": await vitals.blockers(),
            "halt": await house.halt.state(),
            "messages": await house.database.read(messages.counts),
            "sessions": house.sessions.views(),
            "seq": await house.database.high_water(),
        }
    )
