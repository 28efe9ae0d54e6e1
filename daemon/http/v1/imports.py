"""`/v1/uploads` and `/v1/imports`: uploads a file, previews the import, runs it, reports on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from aiohttp import web

from daemon.contacts.imports.options import ImportOptions
from daemon.contacts.imports.preview import ImportPreview
from daemon.contacts.imports.report import ImportReport, ImportUndo
from daemon.errors import Conflict, ImportRejected, NotFound, Unavailable
from daemon.http.authentication import ACTOR
from daemon.http.bodies import (
    ReasonBody,
    RequestBody,
    RequestQuery,
    ResponseBody,
    ResultPage,
    iterate_chunks,
    json_response,
    list_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.middleware import allow_body_up_to
from daemon.http.openapi import NDJSON, OCTET_STREAM, operation
from daemon.http.problems import problem_from_error, translate_problem
from daemon.http.streaming import (
    call_at_shutdown,
    cancel_when_nobody_waits,
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


class ImportOriginBody(RequestBody, frozen=True):
    """Where the numbers of an import are from, as one would tell it to who asks."""

    origen_en_palabras: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


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
    named, services = read_query(request, UploadQuery), get_services(request)
    if services.database.refusal is not None:
        raise services.database.refusal  # the room that is left is for halts and opt-outs
    chunks = iterate_chunks(request, CHUNK_BYTES)
    kept = await _get_upload_store(services).save(named.filename, chunks)
    return json_response(UploadedFile(kept, named.filename), status=201)


@routes.post("/v1/imports/preview")
@operation(ImportPreview, body=PreviewBody, errors=(NotFound, ImportRejected))
@no_time_limit
async def preview_import(request: web.Request) -> web.StreamResponse:
    """Return what an import would do: format, headers, mapping, first rows, counts."""
    asked, services = await read_body(request, PreviewBody), get_services(request)
    path = _get_upload_store(services).get_path(asked.upload)
    async with cancel_when_nobody_waits(request):
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
        yield _build_refusal(request, _CUT_SHORT)
    except Exception as error:  # noqa: BLE001 - the status line has long been sent
        yield _build_refusal(request, error)


def _build_refusal(request: web.Request, error: Exception) -> dict[str, Any]:
    problem = translate_problem(request, problem_from_error(error, "import"))
    return {"type": "refused", "problem": problem}


@routes.get("/v1/imports/{id}")
@operation(ImportReport, errors=(NotFound,))
async def get_import_report(request: web.Request) -> web.Response:
    """Return the report of an import: what became of its records."""
    return json_response(await get_services(request).imports.get_report(request.match_info["id"]))


@routes.post("/v1/imports/{id}/origin")
@operation(ImportReport, body=ImportOriginBody, errors=(NotFound,))
async def tell_import_origin(request: web.Request) -> web.Response:
    """Set in words where these people's numbers are from; the answer to who asks has them."""
    asked = await read_body(request, ImportOriginBody)
    report = await get_services(request).imports.set_origin_in_words(
        request.match_info["id"], asked.origen_en_palabras.strip(), request[ACTOR]
    )
    return json_response(report)


@routes.post("/v1/imports/{id}/undo")
@operation(ImportUndo, status=202, body=ReasonBody, errors=(NotFound, Conflict))
async def undo_import(request: web.Request) -> web.Response:
    """Undo an import within 30 days: remove the people that only it made and nobody touched since.

    The work goes on behind the answer; the import's report says how far it is, and who stays.
    """
    asked = await read_body(request, ReasonBody)
    undo = await get_services(request).import_undo.request(
        request.match_info["id"], reason=asked.reason, who=request[ACTOR]
    )
    return json_response(undo, status=202)


@routes.get("/v1/imports/{id}/rejects")
@operation(ResultPage[ImportRowRecord], errors=(NotFound,))
async def list_import_rejects(request: web.Request) -> web.Response:
    """Return the rejected records, in file order, with their reasons."""
    found = await get_services(request).imports.list_rejects(request.match_info["id"])
    return list_response(found)


def _get_upload_store(services: Services) -> UploadStore:
    return UploadStore(services.settings.state_dir)
