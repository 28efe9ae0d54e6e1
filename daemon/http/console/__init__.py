"""The console: its pages and the pieces that scripts fetch again, as one list of routes.

Every change goes through `/v1`.
"""

from __future__ import annotations

from aiohttp import web

from daemon.http.console import (
    accounts,
    assets,
    audit,
    bans,
    budgets,
    campaign_work,
    campaigns,
    chats,
    deliveries,
    dialogs,
    dossier,
    frame,
    history,
    imports,
    invites,
    manual,
    meanings,
    messages,
    new_message,
    outcomes,
    phases,
    phone_reveal,
    prospects,
    quarantine,
    review,
    ruleset_admin,
    ruleset_view,
    saved_filters,
    sessions,
    sign_in,
    texts,
    today,
    upkeep,
)

routes: list[web.AbstractRouteDef] = [
    *assets.routes,
    *sign_in.routes,
    *today.routes,
    *outcomes.routes,
    *texts.routes,
    *campaigns.routes,
    *campaign_work.routes,
    *deliveries.routes,
    *chats.routes,
    *sessions.routes,
    *bans.routes,
    # Before the pages of single cases, whose address would match this tab's.
    *meanings.routes,
    *review.routes,
    *imports.routes,
    *history.routes,
    *invites.routes,
    *saved_filters.routes,
    *prospects.routes,
    *dossier.routes,
    *dialogs.routes,
    *quarantine.routes,
    # Before the pages of single messages, whose address would match its pages.
    *new_message.routes,
    *messages.routes,
    *manual.routes,
    *ruleset_view.routes,
    *ruleset_admin.routes,
    *phases.routes,
    *accounts.routes,
    *budgets.routes,
    *upkeep.routes,
    *audit.routes,
    *frame.routes,
    *phone_reveal.routes,
]
