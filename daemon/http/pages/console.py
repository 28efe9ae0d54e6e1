"""The whole console as one list of routes, to be mounted on the public door."""

from __future__ import annotations

from aiohttp import web

from daemon.http.pages import (
    assets,
    audit,
    deeds,
    doorstep,
    halting,
    imports,
    manual,
    messages,
    prospects,
    reveal,
    review,
    rule_form,
    rules,
    rulework,
    sessions,
    today,
)

routes: list[web.AbstractRouteDef] = [
    *assets.routes,
    *doorstep.routes,
    *today.routes,
    *sessions.routes,
    *review.routes,
    *imports.routes,
    *prospects.routes,
    *deeds.routes,
    *messages.routes,
    *manual.routes,
    *rules.routes,
    *rulework.routes,
    *rule_form.routes,
    *audit.routes,
    *halting.routes,
    *reveal.routes,
]
