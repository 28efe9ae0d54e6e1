"""`/v1/imports`: hand a file in, see what it would do, import it, read the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from daemon.errors import ImportRejected, NotFound, Unavailable
from daemon.http.bodies import Answer, Body, Query, ResultPage, answer, body, query, whole
from daemon.http.control import WHO
from daemon.http.house import House
from daemon.http.limits import takes_up_to
from daemon.http.openapi import BYTES, LINES, operation
from daemon.http.problems import described
from daemon.http.streams import at_shutdown, endless, listening, send_lines, while_open
from daemon.http.uploads import FILE_LIMIT, Uploads
from daemon.http.vitals import house_of
from daemon.imports.options import ImportOptions
from daemon.imports.reports import ImportPreview, ImportReport
from storage.imports import ImportRowRecord

routes = web.RouteTableDef()
CHUNK = 1 << 18
_CUT_SHORT = Unavailable(
    "The daemon ended during the import.",
    hint="Import the same file again: it goes on where it stopped.",
)


class UploadQuery(Query, frozen=True):
    """The name of the file that is handed in."""

    filename: str


class ImportBody(Body, frozen=True):
    """An upload, and how it is to be read."""

    upload: str
    options: ImportOptions = ImportOptions()


class UploadedFile(Answer, frozen=True):
    """A file that was taken in, by its id."""

    upload: str
    filename: str


@routes.post("/v1/uploads")
@operation(UploadedFile, status=201, query=UploadQuery, body=bytes, takes=BYTES)
@takes_up_to(FILE_LIMIT)
@endless
async def upload(request: web.Request) -> web.StreamResponse:
    """Take in the file that is the request's body; return its id."""
    named, uploads = query(request, UploadQuery), _uploads(house_of(request))
    kept = await uploads.keep(named.filename, request.content.iter_chunked(CHUNK))
    return answer(UploadedFile(kept, named.filename), status=201)


@routes.post("/v1/imports/preview")
@operation(ImportPreview, body=ImportBody, refuses=(NotFound, ImportRejected))
@endless
async def preview(request: web.Request) -> web.StreamResponse:
    """Return what an import would do: form, headers, mapping, first rows, counts."""
    asked, house = await body(request, ImportBody), house_of(request)
    path = _uploads(house).path(asked.upload)
    async with while_open(request):
        return answer(await house.imports.preview(path, asked.options))


@routes.post("/v1/imports")
@operation(dict[str, Any], body=ImportBody, refuses=(NotFound, ImportRejected), gives=(LINES,))
@endless
async def import_(request: web.Request) -> web.StreamResponse:
    """Import an upload; stream `progress` lines, then `finished` with the report, or `refused`."""
    asked, house = await body(request, ImportBody), house_of(request)
    _uploads(house).path(asked.upload)
    async with listening(request, house.bus) as subscription:
        return await send_lines(request, subscription, _imported(request, house, asked))


async def _imported(
    request: web.Request, house: House, asked: ImportBody
) -> AsyncIterator[dict[str, Any]]:
    """Run the import as a task of its own: it goes on when nobody listens any more."""
    progress: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def tell(done: int, total: int | None) -> None:
        progress.put_nowait({"type": "progress", "done": done, "total": total})

    path = _uploads(house).path(asked.upload)
    running = house.imports.start(path, asked.options, request[WHO], tell)
    running.add_done_callback(lambda _task: progress.put_nowait(None))
    with at_shutdown(request, lambda: progress.put_nowait(None)):
        while (line := await progress.get()) is not None:
            yield line
    try:
        yield {"type": "finished", "report": running.result()}
    except (asyncio.InvalidStateError, asyncio.CancelledError):
        yield {"type": "refused", "problem": described(_CUT_SHORT, "import")}
    except Exception as error:  # noqa: BLE001 - the status line has long been sent
        yield {"type": "refused", "problem": described(error, "import")}


@routes.get("/v1/imports/{id}")
@operation(ImportReport, refuses=(NotFound,))
async def report(request: web.Request) -> web.Response:
    """Return what became of an import's records."""
    return answer(await house_of(request).imports.report(request.match_info["id"]))


@routes.get("/v1/imports/{id}/rejects")
@operation(ResultPage[ImportRowRecord], refuses=(NotFound,))
async def rejects(request: web.Request) -> web.Response:
    """Return the rejected records, in file order, with their reasons."""
    found = await house_of(request).imports.rejects(request.match_info["id"])
    return whole(found)


def _uploads(house: House) -> Uploads:
    return Uploads(house.settings.state_dir)
