"""`/v1/audit`: who did what, when, to what, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.errors import Conflict
from daemon.http.bodies import (
    PageLimit,
    RequestBody,
    RequestQuery,
    ResponseBody,
    ResultPage,
    json_response,
    page_response,
    read_body,
    read_query,
)
from daemon.http.health import get_services
from daemon.http.openapi import CSV, operation
from daemon.http.v1.exports import build_csv_headers
from daemon.http.v1.selection_actions import (
    MAX_NAMED,
    SelectedIds,
    SelectedText,
    hash_selection,
    require_few,
    require_one_choice,
    require_same_selection,
)
from daemon.lists.csv_export import format_csv
from daemon.services import Services
from storage import audit
from storage.audit import NumberedAuditEntry

routes = web.RouteTableDef()
_MAX_NUMBER: Final = 2**53 - 1  # the largest that JSON readers keep exact

MAX_EXPORTED: Final = 10_000
"""How many entries one file may have."""
AUDIT_COLUMNS: Final = ("number", "at", "who", "action", "subject", "reason", "detail")


class AuditFilter(RequestBody, frozen=True):
    """What the audit is filtered by: whose actions, of which kind, on what."""

    who: SelectedText = ""
    action: SelectedText = ""
    subject: SelectedText = ""


class AuditSelectionBody(RequestBody, frozen=True):
    """Some entries by their numbers, or all that a filter finds: one of the two."""

    ids: SelectedIds | None = None
    filter: AuditFilter | None = None


class SelectedAuditBody(AuditSelectionBody, frozen=True, kw_only=True):
    """A selection as it was answered: it is not exported where it has changed since."""

    hash: SelectedText


class AuditSelection(ResponseBody, frozen=True):
    """How many entries a selection is, whose the newest are, and its hash."""

    count: int
    names: Sequence[str]
    hash: str


class AuditQuery(RequestQuery, frozen=True):
    """Whose actions to list, of which kind, on what; `after` is an entry's number."""

    who: str = ""
    action: str = ""
    subject: str = ""
    after: Annotated[int, msgspec.Meta(ge=1, le=_MAX_NUMBER)] | None = None
    limit: PageLimit = 50


@routes.get("/v1/audit")
@operation(ResultPage[NumberedAuditEntry], query=AuditQuery)
async def list_audit_entries(request: web.Request) -> web.Response:
    """Return entries of the audit, newest first."""
    query = read_query(request, AuditQuery)
    found = await get_services(request).database.read(
        lambda reader: audit.list_audit_entries(
            reader,
            who=query.who,
            action=query.action,
            subject=query.subject,
            before=query.after,
            # One more than asked for: if it exists, there is a next page.
            limit=query.limit + 1,
        )
    )
    return page_response(found, query.limit, lambda line: str(line.number))


@routes.post("/v1/audit/selection")
@operation(AuditSelection, body=AuditSelectionBody)
async def select_audit_entries(request: web.Request) -> web.Response:
    """Return how many entries a selection is, and whose; its hash goes with the export."""
    found = await _load(get_services(request), await read_body(request, AuditSelectionBody))
    people = list(dict.fromkeys(each.entry.who for each in found))
    hash_ = hash_selection(each.id for each in found)
    return json_response(AuditSelection(len(found), people[:MAX_NAMED], hash_))


@routes.post("/v1/audit/selection/export")
@operation(str, body=SelectedAuditBody, media_types=(CSV,), errors=(Conflict,))
async def export_audit_entries(request: web.Request) -> web.Response:
    """Return the entries of a selection as CSV in UTF-8, newest first; `detail` is JSON."""
    asked = await read_body(request, SelectedAuditBody)
    found = await _load(get_services(request), asked)
    require_same_selection([each.id for each in found], asked.hash)
    text = format_csv([AUDIT_COLUMNS, *map(_list_cells, found)])
    return web.Response(body=text.encode(), headers=build_csv_headers("audit.csv"))


def _list_cells(line: NumberedAuditEntry) -> list[object]:
    entry = line.entry
    detail = msgspec.json.encode(dict(entry.detail)).decode()
    return [
        *(line.number, entry.at.isoformat(), entry.who, entry.action, entry.subject),
        *(entry.reason, detail),
    ]


async def _load(services: Services, asked: AuditSelectionBody) -> list[NumberedAuditEntry]:
    """Return the entries of a selection, the newest first."""
    require_one_choice(asked.ids, asked.filter)
    wanted = asked.filter or AuditFilter()
    found = await services.database.read(
        lambda reader: audit.list_audit_entries(
            reader,
            who=wanted.who,
            action=wanted.action,
            subject=wanted.subject.strip(),
            numbers=asked.ids,
            limit=MAX_EXPORTED + 1,
        )
    )
    require_few(len(found), MAX_EXPORTED)
    return found
