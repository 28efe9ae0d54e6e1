"""The door's side of auth: who asks, may they, and the routes for signing in."""

from __future__ import annotations

from aiohttp import web

from daemon.http.auth import links, sign_in, tokens, users
from daemon.http.auth.identify import AUTH, auth_of, identity_of
from daemon.http.auth.middleware import (
    as_owner,
    authenticated,
    may_sign_in_later,
    open_to,
    sign_in_late,
)

__all__ = [
    "AUTH",
    "as_owner",
    "auth_of",
    "authenticated",
    "control_routes",
    "identity_of",
    "may_sign_in_later",
    "open_to",
    "routes",
    "sign_in_late",
]

routes: list[web.AbstractRouteDef] = [*sign_in.routes, *users.routes, *tokens.routes]
"""For both doors."""
control_routes: list[web.AbstractRouteDef] = [*links.routes]
"""For the control socket alone."""
