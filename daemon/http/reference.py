"""`/openapi.json` and `/docs`: the interface as programs and as people read it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from aiohttp import web

from daemon.http import auth, health, v1
from daemon.http.bodies import etag_response
from daemon.http.openapi import page
from daemon.http.openapi.document import build_document

routes = web.RouteTableDef()

API_ROUTES: Final[tuple[web.AbstractRouteDef, ...]] = (
    *health.routes,
    *v1.RESOURCE_ROUTES,
    *auth.ACCOUNT_ROUTES,
)
"""Every route that is for programs, on whichever door."""


@cache
def get_api_document() -> dict[str, Any]:
    """Return the OpenAPI document; it can't change while the daemon runs."""
    return build_document(API_ROUTES)


@cache
def _get_docs_page() -> str:
    return page.render_docs_page(get_api_document())


@routes.get("/openapi.json")
async def get_openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI 3.1 document."""
    return etag_response(request, get_api_document())


@routes.get("/docs")
async def get_docs(_request: web.Request) -> web.Response:
    """Return the same as a page to read; it loads nothing more."""
    return web.Response(text=_get_docs_page(), content_type="text/html", headers=page.PAGE_HEADERS)
