"""What every page has around it: the sidebar with its badges, and how sending is stopped."""

from __future__ import annotations

from aiohttp import web

from daemon.http.bodies import RequestQuery, read_query
from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import get_theme, load_page_badges, render_piece
from daemon.http.health import get_services
from statemachines.message import WAITING_STATES, MessageState
from storage import console_queries
from storage.tx import Reader

routes = web.RouteTableDef()


class SidebarQuery(RequestQuery, frozen=True):
    """The page around which the sidebar is, by the key of its place or of its tab."""

    page: str = ""


@routes.get("/pieces/sidebar")
@render_errors
async def show_sidebar(request: web.Request) -> web.StreamResponse:
    """Show the navigation with its badges, to be refreshed."""
    return render_piece(
        request,
        "pieces/sidebar.html",
        active_page=read_query(request, SidebarQuery).page,
        badges=await load_page_badges(request),
        theme=get_theme(request),
    )


@routes.get("/pieces/halt")
@render_errors
async def show_halt_dialog(request: web.Request) -> web.StreamResponse:
    """Show the dialog that stops all sending or, during a halt, the one that resumes it."""
    services = get_services(request)
    halt = await services.halt.get_current()
    counts = await services.database.read(_count_messages)
    return render_piece(
        request, "pieces/resume.html" if halt else "pieces/halt.html", halt=halt, **counts
    )


@routes.get("/pieces/halt-banner")
@render_errors
async def show_halt_banner(request: web.Request) -> web.StreamResponse:
    """Show why nothing is sent: trouble with the disk, the current halt, or nothing."""
    services = get_services(request)
    return render_piece(
        request,
        "pieces/halt_banner.html",
        halt=await services.halt.get_current(),
        refusal=services.database.refusal,
    )


def _count_messages(reader: Reader) -> dict[str, int]:
    return {
        "waiting": console_queries.count_messages_in_states(reader, WAITING_STATES).count,
        "taken": console_queries.count_messages_in_states(reader, (MessageState.TAKEN,)).count,
        # What may have left already: a halt does not stop it.
        "sending": console_queries.count_messages_in_states(
            reader, (MessageState.SENDING, MessageState.REVEALED)
        ).count,
    }
