"""`/v1/uploads` and `/v1/imports`: uploads a file, previews the import, runs it, reports on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.service import ImportPreview, ImportReport
from daemon.errors import Conflict, ImportRejected, NotFound, Unavailable
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    RequestBody,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.middleware import allow_body_up_to
from daemon.http.openapi import NDJSON, OCTET_STREAM, operation
from daemon.http.problems import problem_from_error
from daemon.http.streaming import (
    call_at_shutdown,
    cancel_at_shutdown,
    no_time_limit,
    open_subscription,
    send_ndjson,
)
from daemon.http.uploads import FILE_LIMIT, UploadStore
from daemon.services import Services
from storage.imports import ImportRowRecord

routes = web.RouteTableDef()
CHUNK_BYTES = 1 << 18
_CUT_SHORT = Unavailable(
    "The daemon stopped during the import.",
    hint="Import the same file again: it continues where it stopped.",
)


class UploadQuery(RequestQuery, frozen=True):
    """The name of the uploaded file."""

    filename: str


class PreviewBody(RequestBody, frozen=True):
    """An upload, and how to read it."""

    upload: str
    options: ImportOptions = ImportOptions()


class ImportBody(RequestBody, frozen=True):
    """An upload, how to read it, and the `plan` of its preview: what differs from it is a 409."""

    upload: str
    plan: str
    options: ImportOptions = ImportOptions()


class UploadedFile(ResponseBody, frozen=True):
    """A stored file, by its id."""

    upload: str
    filename: str


@routes.post("/v1/uploads")
@operation(UploadedFile, status=201, query=UploadQuery, body=bytes, body_media_type=OCTET_STREAM)
# A large file may take longer than the time limit of other requests.
@allow_body_up_to(FILE_LIMIT)
@no_time_limit
async def upload_file(request: web.Request) -> web.StreamResponse:
    """Store the request's body as a file; return its id."""
    named, uploads = read_query(request, UploadQuery), _get_upload_store(get_services(request))
    kept = await uploads.save(named.filename, request.content.iter_chunked(CHUNK_BYTES))
    return json_response(UploadedFile(kept, named.filename), status=201)


@routes.post("/v1/imports/preview")
@operation(ImportPreview, body=PreviewBody, errors=(NotFound, ImportRejected))
@no_time_limit
async def preview_import(request: web.Request) -> web.StreamResponse:
    """Return what an import would do: format, headers, mapping, first rows, counts."""
    asked, services = await read_body(request, PreviewBody), get_services(request)
    path = _get_upload_store(services).get_path(asked.upload)
    async with cancel_at_shutdown(request):
        return json_response(await services.imports.preview(path, asked.options))


@routes.post("/v1/imports")
@operation(
    dict[str, Any],
    body=ImportBody,
    errors=(NotFound, ImportRejected, Conflict),
    media_types=(NDJSON,),
)
@no_time_limit
async def run_import(request: web.Request) -> web.StreamResponse:
    """Import an upload; stream `progress` lines, then `finished` with the report, or `refused`."""
    asked, services = await read_body(request, ImportBody), get_services(request)
    # A 404 or 409 now: once the stream has begun, the status can't change.
    path = _get_upload_store(services).get_path(asked.upload)
    await services.imports.require_plan(path, asked.options, asked.plan)
    async with open_subscription(request, services.bus) as subscription:
        return await send_ndjson(request, subscription, _iterate_import(request, services, asked))


async def _iterate_import(
    request: web.Request, services: Services, asked: ImportBody
) -> AsyncIterator[dict[str, Any]]:
    """Start the import; yield its progress, then how it ended."""
    progress: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def report_progress(done: int, total: int | None) -> None:
        progress.put_nowait({"type": "progress", "done": done, "total": total})

    path = _get_upload_store(services).get_path(asked.upload)
    # A task of the service: the import goes on where the client leaves.
    running = services.imports.start(path, asked.options, request[ACTOR], report_progress)
    running.add_done_callback(lambda _task: progress.put_nowait(None))
    with call_at_shutdown(request, lambda: progress.put_nowait(None)):
        while (line := await progress.get()) is not None:
            yield line
    try:
        yield {"type": "finished", "report": running.result()}
    # At a shutdown the stream ends before the task does.
    except (asyncio.InvalidStateError, asyncio.CancelledError):
        yield {"type": "refused", "problem": problem_from_error(_CUT_SHORT, "import")}
    except Exception as error:  # noqa: BLE001 - the status line has long been sent
        yield {"type": "refused", "problem": problem_from_error(error, "import")}


@routes.get("/v1/imports/{id}")
@operation(ImportReport, errors=(NotFound,))
async def get_import_report(request: web.Request) -> web.Response:
    """Return the report of an import: what became of its records."""
    return json_response(await get_services(request).imports.get_report(request.match_info["id"]))


@routes.get("/v1/imports/{id}/rejects")
@operation(ResultPage[ImportRowRecord], errors=(NotFound,))
async def list_import_rejects(request: web.Request) -> web.Response:
    """Return the rejected records, in file order, with their reasons."""
    found = await get_services(request).imports.list_rejects(request.match_info["id"])
    return list_response(found)


def _get_upload_store(services: Services) -> UploadStore:
    return UploadStore(services.settings.state_dir)
