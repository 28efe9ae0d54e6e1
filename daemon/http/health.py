"""`/health`, `/ready` and `/metrics`: what a supervisor, a proxy and a Prometheus ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from daemon.http.bodies import ResponseBody, json_response
from daemon.http.openapi import operation
from daemon.http.release import VERSION
from daemon.http.vitals import DAEMON_HEALTH, ReadinessBlocker, get_services
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class Liveness(ResponseBody, frozen=True):
    """The process lives and its loop turns."""

    status: Literal["alive"]
    version: str


class Readiness(ResponseBody, frozen=True):
    """Whether messages are judged and sent, and each reason why not. A halt blocks nothing."""

    ready: bool
    blockers: Sequence[ReadinessBlocker]
    halt: HaltRecord | None


@routes.get("/health")
@operation(Liveness)
async def get_health(_request: web.Request) -> web.Response:
    """Answer: the process lives and its loop turns."""
    return json_response(Liveness("alive", VERSION))


@routes.get("/ready")
@operation(Readiness, other_answers={503: Readiness})
async def get_readiness(request: web.Request) -> web.Response:
    """Answer 200 when messages are judged and sent, else 503 and each reason why not.

    A halt is a person's order and no fault: it is shown and blocks nothing.
    """
    vitals = request.app[DAEMON_HEALTH]
    blockers = await vitals.find_blockers()
    halt = None if blockers or vitals.services is None else await vitals.services.halt.get_current()
    return json_response(Readiness(not blockers, blockers, halt), status=503 if blockers else 200)


@routes.get("/metrics")
@operation(str, media_types=("text/plain",))
async def get_metrics(request: web.Request) -> web.Response:
    """Answer figures in Prometheus' text format; the library is loaded at the first call."""
    from daemon.http import figures  # noqa: PLC0415 - most installations never ask

    vitals = request.app[DAEMON_HEALTH]
    text = await figures.render_metrics(get_services(request), vitals.event_counts, vitals.lag())
    return web.Response(body=text, headers={"Content-Type": figures.CONTENT_TYPE})
