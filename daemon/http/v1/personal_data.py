"""`/v1/prospects/{id}/…`: all that is stored of a person, and forgetting them."""

from __future__ import annotations

from aiohttp import web

from daemon.contacts.personal_data import Dossier, ForgetResult
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.v1.prospects import load_prospect

routes = web.RouteTableDef()


@routes.post("/v1/prospects/{id}/dossier")
@operation(Dossier, errors=(NotFound,))
async def show_dossier(request: web.Request) -> web.Response:
    """Return all that is stored of a prospect, whole numbers and texts included; audited."""
    services = get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    return json_response(await services.personal_data.build_dossier(prospect.id, request[ACTOR]))


@routes.post("/v1/prospects/{id}/forget")
@operation(ForgetResult, body=ReasonBody, errors=(NotFound, Conflict))
async def forget_prospect(request: web.Request) -> web.Response:
    """Erase a prospect for good; only a keyed hash stays, so that no list brings them back.

    409 while a message to them is on its way. The answer names where their data is for a while yet.
    """
    asked, services = await read_body(request, ReasonBody), get_services(request)
    prospect = await load_prospect(services, request.match_info["id"])
    return json_response(
        await services.personal_data.forget(prospect.id, request[ACTOR], asked.reason)
    )
