"""`/v1/backups`: the sealed copies and their files, when the next is due; and their key."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

from aiohttp import web

from daemon.backup.errors import BackupFailed, BackupKeyMissing, BackupKeyWrong
from daemon.backup.requests import NewBackupKey
from daemon.backup.status import BackupStatus, SealedCopy
from daemon.errors import Conflict, NotFound
from daemon.http.authentication import ACTOR
from daemon.http.bodies import RequestBody, ResponseBody, json_response, read_body
from daemon.http.health import HealthWarning, format_concern, get_services
from daemon.http.openapi import OCTET_STREAM, operation
from daemon.http.streaming import cut_without_access, no_time_limit

routes = web.RouteTableDef()


class BackupReport(ResponseBody, frozen=True):
    """The sealed copies, newest first, when the next is due, and what a person should know."""

    status: BackupStatus
    next_at: datetime | None
    warnings: Sequence[HealthWarning]


class BackupResult(ResponseBody, frozen=True):
    """The copy that was made, and what is known now."""

    copy: SealedCopy | None
    status: BackupStatus


class BackupKeyBody(RequestBody, frozen=True):
    """Whether another key is wanted where there is a confirmed one."""

    replace: bool = False


class BackupKeyResult(ResponseBody, frozen=True):
    """The key that was made, in this one answer only."""

    key: NewBackupKey | None


class BackupKeyConfirmation(RequestBody, frozen=True):
    """A row of the printed sheet: the one that the status names."""

    typed: str


class BackupKeyConfirmed(ResponseBody, frozen=True):
    """What is known now."""

    status: BackupStatus


@routes.get("/v1/backups")
@operation(BackupReport)
async def get_backups(request: web.Request) -> web.Response:
    """Return the sealed copies: age, size, where they are, and the last restore that was tested."""
    backups = get_services(request).backups
    status = backups.read_status()
    warnings = [format_concern(concern) for concern in backups.list_concerns()]
    return json_response(BackupReport(status, backups.find_next(status), warnings))


@routes.post("/v1/backups")
@operation(BackupResult, errors=(BackupKeyMissing, Conflict, BackupFailed))
async def make_backup(request: web.Request) -> web.Response:
    """Make a sealed copy now, test it, and return it; 409 without a key."""
    backups = get_services(request).backups
    copy = await backups.make_copy(request[ACTOR])
    return json_response(BackupResult(copy, backups.read_status()))


@routes.get("/v1/backups/{name}", allow_head=False)
@operation(bytes, media_types=(OCTET_STREAM,), errors=(NotFound, BackupFailed))
@no_time_limit
async def download_backup(request: web.Request) -> web.StreamResponse:
    """Return a sealed copy, which only the printed key opens; each download is audited."""
    name = request.match_info["name"]
    parts = get_services(request).backups.download_copy(request[ACTOR], name)
    async with contextlib.aclosing(parts), cut_without_access(request):
        first = await anext(parts, b"")  # before the headers: what is refused is still told
        response = web.StreamResponse(
            headers={
                "Content-Type": OCTET_STREAM,
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            }
        )
        await response.prepare(request)
        await response.write(first)
        async for part in parts:
            await response.write(part)
        await response.write_eof()
    return response


@routes.post("/v1/backups/key")
@operation(BackupKeyResult, body=BackupKeyBody, errors=(Conflict, BackupFailed))
async def make_backup_key(request: web.Request) -> web.Response:
    """Make the key, and return its private half, which is kept nowhere; 409 where there is one."""
    asked = await read_body(request, BackupKeyBody)
    key = await get_services(request).backups.make_key(request[ACTOR], replace=asked.replace)
    return json_response(BackupKeyResult(key))


@routes.post("/v1/backups/key/confirm")
@operation(
    BackupKeyConfirmed,
    body=BackupKeyConfirmation,
    errors=(BackupKeyWrong, BackupKeyMissing, BackupFailed),
)
async def confirm_backup_key(request: web.Request) -> web.Response:
    """Confirm with a row of the sheet that a person has the private half."""
    asked = await read_body(request, BackupKeyConfirmation)
    status = await get_services(request).backups.confirm_key(request[ACTOR], asked.typed)
    return json_response(BackupKeyConfirmed(status))
