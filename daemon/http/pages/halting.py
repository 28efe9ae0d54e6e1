"""The red button: what a halt would do, in numbers, before it is asked for; and its end."""

from __future__ import annotations

from aiohttp import web

from daemon.http.pages.shell import piece, told
from daemon.http.vitals import house_of
from statemachines.message import MessageState
from storage import listings
from storage.tx import Reader

routes = web.RouteTableDef()

_WAITING = (MessageState.QUEUED, MessageState.CLEARED, MessageState.DEFERRED, MessageState.HELD)


@routes.get("/pieces/halt")
@told
async def consequence(request: web.Request) -> web.StreamResponse:
    """Ask before everything stops; where it is stopped, ask why it may go on."""
    house = house_of(request)
    halt = await house.halt.state()
    counts = await house.database.read(_counts)
    template = "pieces/resume.html" if halt else "pieces/halt.html"
    return piece(request, template, halt=halt, **counts)


@routes.get("/pieces/halt-banner")
@told
async def banner(request: web.Request) -> web.StreamResponse:
    """Show the halt in force, or nothing."""
    return piece(request, "pieces/halt_banner.html", halt=await house_of(request).halt.state())


def _counts(reader: Reader) -> dict[str, int]:
    return {
        "waiting": listings.standing(reader, _WAITING).count,
        "taken": listings.standing(reader, (MessageState.TAKEN,)).count,
        "flying": listings.standing(reader, (MessageState.SENDING, MessageState.REVEALED)).count,
    }
