"""`/v1/do-not-call`: imports official do-not-call registers, and lists them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from aiohttp import web

from daemon.contacts.do_not_call import RegisterImportResult
from daemon.contacts.number_lists import NumberListOptions
from daemon.errors import ImportRejected, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestBody, ResultPage, json_response, list_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.streaming import no_time_limit
from daemon.http.uploads import UploadStore
from storage.do_not_call import DoNotCallRegister

routes = web.RouteTableDef()


class RegisterBody(RequestBody, frozen=True):
    """An uploaded register, the country whose numbers it has, and the day of which it is."""

    upload: str
    dated: date
    country: Annotated[
        str, msgspec.Meta(pattern="^[A-Z]{2}$", description="two capital letters, such as AR")
    ] = "AR"
    options: NumberListOptions = NumberListOptions()


@routes.get("/v1/do-not-call")
@operation(ResultPage[DoNotCallRegister])
async def list_do_not_call_registers(request: web.Request) -> web.Response:
    """Return the latest do-not-call registers, newest first, and which are in force."""
    return list_response(await get_services(request).do_not_call.list_registers())


@routes.post("/v1/do-not-call")
@operation(RegisterImportResult, body=RegisterBody, errors=(NotFound, ImportRejected))
@no_time_limit
async def import_do_not_call_register(request: web.Request) -> web.StreamResponse:
    """Import an uploaded register; who is on it gets nothing commercial from then on."""
    asked, services = await read_body(request, RegisterBody), get_services(request)
    path = UploadStore(services.settings.state_dir).get_path(asked.upload)
    done = await services.do_not_call.import_register(
        path, asked.options, country=asked.country, dated=asked.dated, who=request[ACTOR]
    )
    return json_response(done)
