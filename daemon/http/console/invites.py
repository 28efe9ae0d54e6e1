"""The `/invites` page, and a page to print: a QR code by which people write to us first."""

from __future__ import annotations

from aiohttp import web
from markupsafe import Markup

from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services
from daemon.http.qr_drawing import draw_qr_code
from daemon.inbound.invites import DEFAULT_WORDS, build_invite_link, build_prefilled_text

routes = web.RouteTableDef()

_INVITES_SHOWN = 200
_QUIET_ZONE_MODULES = 4


@routes.get("/invites")
@render_errors
async def show_invites_page(request: web.Request) -> web.StreamResponse:
    """Show every invitation with where it hangs."""
    found = await get_services(request).invites.list_invites(limit=_INVITES_SHOWN)
    return await render_page(request, "invites.html", active_page="invites", invites=found)


@routes.get("/pieces/invites/new")
@render_errors
async def show_new_invite_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that creates an invitation to one of the linked phones."""
    views = [view for view in get_services(request).sessions.views() if view.phone]
    return render_piece(request, "pieces/new_invite.html", views=views, words=DEFAULT_WORDS)


@routes.get("/invites/{code}")
@render_errors
async def show_invite_page(request: web.Request) -> web.StreamResponse:
    """Show one invitation as a page to print: its QR code, its link, what it fills in."""
    invite = await get_services(request).invites.get_invite(request.match_info["code"])
    link = build_invite_link(invite)
    drawn = await draw_qr_code(link)
    svg = drawn.svg_inline(border=_QUIET_ZONE_MODULES, omitsize=True, svgclass="qr", lineclass=None)
    return await render_page(
        request,
        "invite.html",
        active_page="invites",
        invite=invite,
        link=link,
        text=build_prefilled_text(invite),
        picture=Markup(svg),  # noqa: S704 - drawn by the library from modules, no text in it
    )
