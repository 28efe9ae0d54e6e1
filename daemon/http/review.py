"""`/v1/review`: messages that wait for a person's approval."""

from __future__ import annotations

from aiohttp import web

from daemon.http.bodies import Because, answer, body
from daemon.http.control import WHO
from daemon.http.vitals import house_of

routes = web.RouteTableDef()


@routes.get("/v1/review")
async def list_(request: web.Request) -> web.Response:
    """Return what is held, oldest first."""
    return answer({"items": await house_of(request).review.list(), "next": None})


@routes.post("/v1/review/{id}/approve")
async def approve(request: web.Request) -> web.Response:
    """Approve exactly this text to this recipient; the gate judges it once more."""
    asked, wanted = await body(request, Because), request.match_info["id"]
    return answer(await house_of(request).review.approve(wanted, request[WHO], asked.reason))


@routes.post("/v1/review/{id}/reject")
async def reject(request: web.Request) -> web.Response:
    """Reject a held or deferred message: it is blocked."""
    asked, wanted = await body(request, Because), request.match_info["id"]
    return answer(await house_of(request).review.reject(wanted, request[WHO], asked.reason))
