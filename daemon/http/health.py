"""`/health`, `/ready` and `/metrics`: what a supervisor, a proxy and a Prometheus ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from daemon.http.bodies import Answer, answer
from daemon.http.openapi import operation
from daemon.http.release import VERSION
from daemon.http.vitals import VITALS, ReadinessBlocker, house_of
from storage.halts import HaltRecord

routes = web.RouteTableDef()


class Liveness(Answer, frozen=True):
    """The process lives and its loop turns."""

    status: Literal["alive"]
    version: str


class Readiness(Answer, frozen=True):
    """Whether messages are judged and sent, and each reason why not. A halt blocks nothing."""

    ready: bool
    blockers: Sequence[ReadinessBlocker]
    halt: HaltRecord | None


@routes.get("/health")
@operation(Liveness)
async def health(_request: web.Request) -> web.Response:
    """Answer: the process lives and its loop turns."""
    return answer(Liveness("alive", VERSION))


@routes.get("/ready")
@operation(Readiness, otherwise={503: Readiness})
async def ready(request: web.Request) -> web.Response:
    """Answer 200 when messages are judged and sent, else 503 and each reason why not.

    A halt is a person's order and no fault: it is shown and blocks nothing.
    """
    vitals = request.app[VITALS]
    blockers = await vitals.blockers()
    halt = None if blockers or vitals.house is None else await vitals.house.halt.state()
    return answer(Readiness(not blockers, blockers, halt), status=503 if blockers else 200)


@routes.get("/metrics")
@operation(str, gives=("text/plain",))
async def metrics(request: web.Request) -> web.Response:
    """Answer figures in Prometheus' text format; the library is loaded at the first call."""
    from daemon.http import figures  # noqa: PLC0415 - most installations never ask

    vitals = request.app[VITALS]
    text = await figures.exposition(house_of(request), vitals.tally, vitals.lag())
    return web.Response(body=text, headers={"Content-Type": figures.CONTENT_TYPE})
