"""`/v1/audit`: what people decided, when, about what, and why."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web

from daemon.http.bodies import Limit, Query, ResultPage, page, query
from daemon.http.openapi import operation
from daemon.http.vitals import house_of
from storage import listings
from storage.listings import NumberedAuditEntry

routes = web.RouteTableDef()
_LARGEST: Final = 2**53 - 1


class AuditQuery(Query, frozen=True):
    """Whose deeds to list, of which kind, about what; `after` is an entry's number."""

    who: str = ""
    action: str = ""
    subject: str = ""
    after: Annotated[int, msgspec.Meta(ge=1, le=_LARGEST)] | None = None
    limit: Limit = 50


@routes.get("/v1/audit")
@operation(ResultPage[NumberedAuditEntry], query=AuditQuery)
async def list_(request: web.Request) -> web.Response:
    """Return entries of the audit, newest first."""
    wanted = query(request, AuditQuery)
    found = await house_of(request).database.read(
        lambda reader: listings.audit_page(
            reader,
            who=wanted.who,
            action=wanted.action,
            subject=wanted.subject,
            before=wanted.after,
            limit=wanted.limit + 1,
        )
    )
    return page(found, wanted.limit, lambda line: str(line.number))
