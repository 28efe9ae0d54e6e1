"""`/health`, `/ready` and `/metrics`: what a supervisor, a proxy and a Prometheus ask."""

from __future__ import annotations

from importlib.metadata import version

from aiohttp import web

from daemon.http.bodies import answer
from daemon.http.vitals import VITALS, house_of

routes = web.RouteTableDef()


@routes.get("/health")
async def health(_request: web.Request) -> web.Response:
    """Answer: the process lives and its loop turns."""
    return answer({"status": "alive", "version": version("leadmaster")})


@routes.get("/ready")
async def ready(request: web.Request) -> web.Response:
    """Answer 200 when messages are judged and sent, else 503 and each reason why not.

    A halt is a person's order and no fault: it is shown and blocks nothing.
    """
    vitals = request.app[VITALS]
    blockers = await vitals.blockers()
    halt = None if blockers or vitals.house is None else await vitals.house.halt.state()
    document = {"ready": not blockers, "blockers": blockers, "halt": halt}
    return answer(document, status=503 if blockers else 200)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Answer figures in Prometheus' text format; the library is loaded at the first call."""
    from daemon.http import figures  # noqa: PLC0415 - most installations never ask

    vitals = request.app[VITALS]
    text = await figures.exposition(house_of(request), vitals.tally, vitals.lag())
    return web.Response(body=text, headers={"Content-Type": figures.CONTENT_TYPE})
