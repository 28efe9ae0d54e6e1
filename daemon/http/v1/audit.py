"""`/v1/audit`: who did what, when, to what, and why."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import PageLimit, RequestQuery, ResultPage, page_response, read_query
from daemon.http.health import get_services
from daemon.http.openapi import operation
from storage import audit
from storage.audit import NumberedAuditEntry

routes = web.RouteTableDef()
_MAX_NUMBER: Final = 2**53 - 1  # the largest that JSON readers keep exact


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
