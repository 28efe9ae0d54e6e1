"""The `/sign-in` page, and the middleware that redirects a browser that is not signed in to it."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.auth.errors import Unauthorized
from daemon.errors import LeadMasterError
from daemon.http.console.error_translation import accepts_page
from daemon.http.console.layout import TEMPLATES, render_signed_out_page

routes = web.RouteTableDef()


@routes.get("/sign-in")
async def show_sign_in_page(request: web.Request) -> web.StreamResponse:
    """Show the form for name and password; its script signs in by the secret of a link."""
    await TEMPLATES.ensure_loaded()
    ended, back = "ended" in request.query, _get_safe_path(request.query.get("back", "/"))
    return render_signed_out_page(request, "sign_in.html", ended=ended, back=back)


@web.middleware
async def redirect_to_sign_in(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Redirect a browser that asks for a page without a sign-in to the sign-in page.

    Wraps the authentication. Requests of programs and scripts get the error itself.
    """
    try:
        return await handler(request)
    except LeadMasterError as error:
        if error.status != Unauthorized.status or not accepts_page(request):
            raise
        raise web.HTTPSeeOther(f"/sign-in?back={quote(request.path_qs)}") from None


def _get_safe_path(path: str) -> str:
    """Return the path to go back to; the first page for anything outside the console."""
    # `//host` and `/\host` are addresses of another site to a browser.
    is_own = path.startswith("/") and not path.startswith(("//", "/\\", "/sign-in"))
    return path if is_own else "/"
