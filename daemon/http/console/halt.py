"""The dialogs that stop and resume all sending, and the banner of a halt."""

from __future__ import annotations

from aiohttp import web

from daemon.http.console.error_translation import render_errors
from daemon.http.console.layout import render_piece
from daemon.http.health import get_services
from statemachines.message import WAITING_STATES, MessageState
from storage import console_queries
from storage.tx import Reader

routes = web.RouteTableDef()


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
    """Show the current halt, or nothing."""
    return render_piece(
        request, "pieces/halt_banner.html", halt=await get_services(request).halt.get_current()
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
