"""`/v1/bans`: bans of numbers, the figures before each, and who waits for an answer."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import ResultPage, json_response, list_response
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.outbox.ban_report import BanReport, load_ban_report
from storage import bans
from storage.bans import BanRecord

routes = web.RouteTableDef()


@routes.get("/v1/bans")
@operation(ResultPage[BanRecord])
async def list_bans(request: web.Request) -> web.Response:
    """Return every ban, seen here or reported when a phone was linked, the latest first."""
    return list_response(await get_services(request).database.read(bans.list_bans))


@routes.get("/v1/bans/{id}")
@operation(BanReport, errors=(NotFound,))
async def get_ban(request: web.Request) -> web.Response:
    """Return a ban with the figures of the 72 hours before it, beside their limits."""
    services = get_services(request)
    return json_response(
        await load_ban_report(services.database, services.pacing, request.match_info["id"])
    )
