"""The console: its pages and the pieces that scripts fetch again, as one list of routes.

Every change goes through `/v1`.
"""

from __future__ import annotations

from aiohttp import web

from daemon.http.console import (
    assets,
    audit,
    dialogs,
    halt,
    imports,
    manual,
    meanings,
    messages,
    phone_reveal,
    prospects,
    quarantine,
    review,
    ruleset_admin,
    ruleset_view,
    sessions,
    sign_in,
    today,
)

routes: list[web.AbstractRouteDef] = [
    *assets.routes,
    *sign_in.routes,
    *today.routes,
    *sessions.routes,
    # Before the pages of single cases, whose address would match this tab's.
    *meanings.routes,
    *review.routes,
    *imports.routes,
    *prospects.routes,
    *dialogs.routes,
    *quarantine.routes,
    *messages.routes,
    *manual.routes,
    *ruleset_view.routes,
    *ruleset_admin.routes,
    *audit.routes,
    *halt.routes,
    *phone_reveal.routes,
]
