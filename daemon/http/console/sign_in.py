"""The `/sign-in` page, and the middleware that redirects a browser that is not signed in to it."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.auth.errors import Unauthorized
from daemon.errors import LeadMasterError
from daemon.http.console.layout import render_signed_out_page

routes = web.RouteTableDef()


@routes.get("/sign-in")
async def show_sign_in_page(request: web.Request) -> web.StreamResponse:
    """Ask for name and password; a link's secret behind the # is spent without asking."""
    ended, back = "ended" in request.query, _get_safe_path(request.query.get("back", "/"))
    return render_signed_out_page(request, "sign_in.html", ended=ended, back=back)


@web.middleware
async def redirect_to_sign_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lead a browser that asks for a page, and is nobody's, to where it can sign in.

    Stands outside `authenticated`. Programs, and whoever asks for data, get the refusal.
    """
    try:
        return await handler(request)
    except LeadMasterError as error:
        if error.status != Unauthorized.status or not _accepts_page(request):
            raise
        raise web.HTTPSeeOther(f"/sign-in?back={quote(request.path_qs)}") from None


def _accepts_page(request: web.Request) -> bool:
    accepts = request.method == "GET" and "text/html" in request.headers.get("Accept", "")
    return accepts and not request.path.startswith("/v1/") and "HX-Request" not in request.headers


def _get_safe_path(path: str) -> str:
    """Return a path of ours to go back to; the first page for anything that leads elsewhere."""
    harmless = path.startswith("/") and not path.startswith(("//", "/\\", "/sign-in"))
    return path if harmless else "/"
