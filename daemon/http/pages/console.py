"""The whole console as one list of routes, to be mounted on the public door."""

from __future__ import annotations

from aiohttp import web

from daemon.http.pages import assets, audit, doorstep, halting, messages, reveal, sessions, today

routes: list[web.AbstractRouteDef] = [
    *assets.routes,
    *doorstep.routes,
    *today.routes,
    *sessions.routes,
    *messages.routes,
    *audit.routes,
    *halting.routes,
    *reveal.routes,
]
