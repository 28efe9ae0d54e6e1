"""`/openapi.json` and `/docs`: the interface as programs and as people read it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from aiohttp import web

from daemon.http import auth, health, v1
from daemon.http.bodies import tagged
from daemon.http.openapi import page
from daemon.http.openapi.document import document

routes = web.RouteTableDef()

INTERFACE: Final[tuple[web.AbstractRouteDef, ...]] = (*health.routes, *v1.routes, *auth.routes)
"""Every route that is for programs, on whichever door."""


@cache
def interface() -> dict[str, Any]:
    """Return the OpenAPI document; it can't change while the daemon runs."""
    return document(INTERFACE)


@cache
def _page() -> str:
    return page.render(interface())


@routes.get("/openapi.json")
async def openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI 3.1 document."""
    return tagged(request, interface())


@routes.get("/docs")
async def docs(_request: web.Request) -> web.Response:
    """Return the same as a page to read; it loads nothing more."""
    return web.Response(text=_page(), content_type="text/html", headers=page.HEADERS)
