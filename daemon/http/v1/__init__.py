"""The routes of the REST interface `/v1`; each resource has a module."""

from __future__ import annotations

from aiohttp import web

from daemon.http.v1 import (
    audit,
    backtests,
    consents,
    decisions,
    do_not_call,
    enqueue,
    events,
    exports,
    halt,
    imports,
    inbound,
    linking_answers,
    manual,
    messages,
    pairing,
    prospects,
    quarantine,
    review,
    rule_changes,
    rules,
    sessions,
    sign_in,
    status,
    suppressions,
    tokens,
    users,
)

# In the order of the generated reference.
RESOURCE_ROUTES: list[web.AbstractRouteDef] = [
    *status.routes,
    *halt.routes,
    *sessions.routes,
    *pairing.routes,
    *linking_answers.routes,
    *enqueue.routes,
    *messages.routes,
    *inbound.routes,
    *quarantine.routes,
    *review.routes,
    *manual.routes,
    *imports.routes,
    *prospects.routes,
    *consents.routes,
    *suppressions.routes,
    *do_not_call.routes,
    *exports.routes,
    *decisions.routes,
    *rules.routes,
    *rule_changes.routes,
    *backtests.routes,
    *audit.routes,
    *events.routes,
]
ACCOUNT_ROUTES: list[web.AbstractRouteDef] = [*sign_in.routes, *users.routes, *tokens.routes]
"""Signing in, users and tokens: on the public server and on the control socket."""
CONTROL_SOCKET_ROUTES: list[web.AbstractRouteDef] = [*sign_in.control_routes]
"""One-time sign-in links: on the control socket alone, since a link needs no password."""
