"""The `/phases` page: what each phase of the service still needs, in numbers."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_page, render_piece
from daemon.http.health import get_services

routes = web.RouteTableDef()


@routes.get("/phases")
@render_errors
async def show_phases_page(request: web.Request) -> web.StreamResponse:
    """Show every phase; an admin may open a planned one that is built."""
    return await render_page(
        request,
        "phases.html",
        active_page="phases",
        phases=await get_services(request).phases.list_phases(),
    )


@routes.get("/pieces/phases/{number}/open")
@render_errors
async def show_open_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that asks why a phase may begin early."""
    number = request.match_info["number"]
    phases = await get_services(request).phases.list_phases()
    phase = next((each for each in phases if str(each.number) == number), None)
    if phase is None:
        raise NotFound(f"There is no phase {number}.")
    return render_piece(request, "pieces/phase_open.html", phase=phase)
