"""`/v1/decisions`: the gate's decisions, each with the facts it was based on."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from daemon.errors import NotFound
from daemon.http.bodies import PageQuery, ResultPage, json_response, page_response, read_query
from daemon.http.health import get_services
from daemon.http.openapi import operation
from rules import Verdict
from storage import decisions
from storage.decisions import DecisionRecord

routes = web.RouteTableDef()


class DecisionQuery(PageQuery, frozen=True):
    """Which decisions to list; `ruleset` is a hash or the beginning of one."""

    message: str = ""
    verdict: Verdict | None = None
    phase: Literal["enqueue", "release"] | None = None
    ruleset: str = ""


@routes.get("/v1/decisions")
@operation(ResultPage[DecisionRecord], query=DecisionQuery)
async def list_decisions(request: web.Request) -> web.Response:
    """Return decisions, newest first."""
    query = read_query(request, DecisionQuery)
    found = await get_services(request).database.read(
        lambda reader: decisions.search_decisions(
            reader,
            message=query.message,
            verdict=query.verdict or "",
            phase=query.phase or "",
            ruleset=query.ruleset,
            after=query.after,
            limit=query.limit + 1,
        )
    )
    return page_response(found, query.limit, lambda decision: decision.id)


@routes.get("/v1/decisions/{id}")
@operation(DecisionRecord, errors=(NotFound,))
async def get_decision(request: web.Request) -> web.Response:
    """Return one decision as it was stored."""
    decision_id = request.match_info["id"]
    found = await get_services(request).database.read(
        lambda reader: decisions.get_decision(reader, decision_id)
    )
    if found is None:
        raise NotFound(f"There is no decision {decision_id}.")
    return json_response(found)
