"""`/v1/history`: imports what a former system sent and was answered, or records that none is."""

from __future__ import annotations

from aiohttp import web

from daemon.errors import Conflict, ImportRejected, NotFound
from daemon.history.options import HistoryOptions
from daemon.history.service import HistoryPreview, HistoryReport, HistoryStatus
from daemon.http.authentication import ACTOR
from daemon.http.bodies import ReasonBody, RequestBody, json_response, read_body
from daemon.http.health import get_services
from daemon.http.openapi import operation
from daemon.http.streaming import cancel_at_shutdown, no_time_limit
from daemon.http.uploads import UploadStore

routes = web.RouteTableDef()


class HistoryPreviewBody(RequestBody, frozen=True):
    """An uploaded history, and how to read it."""

    upload: str
    options: HistoryOptions = HistoryOptions()


class HistoryImportBody(RequestBody, frozen=True):
    """An uploaded history, how to read it, and the `plan` of its preview."""

    upload: str
    plan: str
    options: HistoryOptions = HistoryOptions()


@routes.get("/v1/history")
@operation(HistoryStatus)
async def get_history_status(request: web.Request) -> web.Response:
    """Return whether the past is known, the imports of it, and what a person declared."""
    return json_response(await get_services(request).history.get_status())


@routes.post("/v1/history/preview")
@operation(HistoryPreview, body=HistoryPreviewBody, errors=(NotFound, ImportRejected))
@no_time_limit
async def preview_history(request: web.Request) -> web.StreamResponse:
    """Return what an import of a history would do: what its lines are, and what can't be read."""
    asked, services = await read_body(request, HistoryPreviewBody), get_services(request)
    path = UploadStore(services.settings.state_dir).get_path(asked.upload)
    async with cancel_at_shutdown(request):
        return json_response(await services.history.preview(path, asked.options))


@routes.post("/v1/history")
@operation(HistoryReport, body=HistoryImportBody, errors=(NotFound, ImportRejected, Conflict))
@no_time_limit
async def import_history(request: web.Request) -> web.StreamResponse:
    """Import a history as it was previewed; what is known already changes nothing."""
    asked, services = await read_body(request, HistoryImportBody), get_services(request)
    path = UploadStore(services.settings.state_dir).get_path(asked.upload)
    await services.history.require_plan(path, asked.options, asked.plan)
    async with cancel_at_shutdown(request):
        return json_response(await services.history.run(path, asked.options, who=request[ACTOR]))


@routes.post("/v1/history/none")
@operation(HistoryStatus, body=ReasonBody)
async def declare_no_history(request: web.Request) -> web.Response:
    """Record that there is no history to import, with who says so and why."""
    reason = (await read_body(request, ReasonBody)).reason
    return json_response(await get_services(request).history.declare_none(reason, request[ACTOR]))
