"""The door's side of auth: who asks, may they, and the routes for signing in."""

from __future__ import annotations

from aiohttp import web

from daemon.http.auth import links, sign_in, tokens, users
from daemon.http.auth.identify import AUTH, get_auth, get_identity
from daemon.http.auth.middleware import (
    allow_late_sign_in,
    authenticate,
    authenticate_first_message,
    grant_all_scopes,
    install_authentication,
)

__all__ = [
    "ACCOUNT_ROUTES",
    "AUTH",
    "CONTROL_SOCKET_ROUTES",
    "allow_late_sign_in",
    "authenticate",
    "authenticate_first_message",
    "get_auth",
    "get_identity",
    "grant_all_scopes",
    "install_authentication",
]

ACCOUNT_ROUTES: list[web.AbstractRouteDef] = [*sign_in.routes, *users.routes, *tokens.routes]
"""For both doors."""
CONTROL_SOCKET_ROUTES: list[web.AbstractRouteDef] = [*links.control_routes]
"""For the control socket alone."""
