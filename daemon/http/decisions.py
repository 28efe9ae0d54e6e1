"""`/v1/decisions/{id}`: one look of the gate, with the facts that it was judged on."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import answer
from daemon.http.vitals import house_of
from storage import decisions

routes = web.RouteTableDef()


@routes.get("/v1/decisions/{id}")
async def get(request: web.Request) -> web.Response:
    """Return one decision as it was stored."""
    wanted = request.match_info["id"]
    found = await house_of(request).database.read(lambda reader: decisions.get(reader, wanted))
    if found is None:
        raise NotFound(f"There is no decision {wanted}.")
    return answer(found)
