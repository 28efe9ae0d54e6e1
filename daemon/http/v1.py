"""The whole interface under `/v1`, as one list of routes: mounted wherever somebody may ask."""

from __future__ import annotations

from aiohttp import web

from daemon.http import (
    audit,
    backtests,
    decisions,
    enqueue,
    events,
    exports,
    halt,
    imports,
    inbound,
    manual,
    messages,
    pairing,
    prospects,
    review,
    rule_changes,
    rules,
    sessions,
    stats,
    status,
    suppressions,
)

RESOURCE_ROUTES: list[web.AbstractRouteDef] = [
    *status.routes,
    *stats.routes,
    *halt.routes,
    *sessions.routes,
    *pairing.routes,
    *enqueue.routes,
    *messages.routes,
    *inbound.routes,
    *review.routes,
    *manual.routes,
    *imports.routes,
    *prospects.routes,
    *suppressions.routes,
    *exports.routes,
    *decisions.routes,
    *rules.routes,
    *rule_changes.routes,
    *backtests.routes,
    *audit.routes,
    *events.routes,
]
