"""The whole interface under `/v1`, as one list of routes: mounted wherever somebody may ask."""

from __future__ import annotations

from aiohttp import web

from daemon.http import (
    decisions,
    events,
    halt,
    imports,
    manual,
    messages,
    prospects,
    review,
    rules,
    sessions,
    status,
    suppressions,
)

routes: list[web.AbstractRouteDef] = [
    *status.routes,
    *halt.routes,
    *sessions.routes,
    *messages.routes,
    *review.routes,
    *manual.routes,
    *imports.routes,
    *prospects.routes,
    *suppressions.routes,
    *decisions.routes,
    *rules.routes,
    *events.routes,
]
