"""Finds out who makes a request: by token, by WebSocket subprotocol, or by cookie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from daemon.auth import AuthService, Identity
from daemon.auth.refusals import Unauthorized
from daemon.http.auth.cookies import get_session_secret
from daemon.http.auth.forgery import check_csrf
from daemon.http.control import ACTOR

AUTH: Final[web.AppKey[Callable[[], AuthService]]] = web.AppKey("auth")
"""Returns the auth room, or raises :class:`Unavailable` while there is none."""
IDENTITY: Final = web.RequestKey("identity", Identity)
TOKEN_SUBPROTOCOL_PREFIX: Final = "leadmaster.token."  # noqa: S105 - what stands before one
"""A WebSocket client may send its token as a subprotocol that begins so: browsers allow no header.

The server never chooses that one, so that the token is not sent back.
"""
_SCHEME: Final = "bearer"


def get_auth(request: web.Request) -> AuthService:
    """Return the auth room behind this door; raise :class:`Unavailable` while there is none."""
    return request.app[AUTH]()


def get_identity(request: web.Request) -> Identity:
    """Return who makes a request, as the door found out; raise :class:`Unauthorized`."""
    found: Identity | None = request.get(IDENTITY)
    if found is None:
        raise Unauthorized("Nobody has signed in on this connection.")
    return found


def set_identity(request: web.Request, identity: Identity) -> None:
    """Let the handlers of a request see who makes it."""
    request[IDENTITY] = identity
    request[ACTOR] = identity.who


async def identify_request(request: web.Request) -> Identity:
    """Return who makes a request, unless the door knows already.

    Raises :class:`Unauthorized` where it does not say, or why what it says is not believed. A
    token goes before a cookie: no page of another site can make a browser send one.
    """
    known: Identity | None = request.get(IDENTITY)
    if known is not None:
        return known
    if (token := get_token(request)) is not None:
        return await get_auth(request).tokens.verify_token(token)
    if (secret := get_session_secret(request)) is not None:
        identity = await get_auth(request).sign_ins.identify(secret)
        check_csrf(request, secret)
        return identity
    raise Unauthorized("Nobody is signed in, and no token was sent.")


def is_anonymous(request: web.Request) -> bool:
    """Whether a request says nothing at all about who makes it."""
    return get_token(request) is None and get_session_secret(request) is None


def get_token(request: web.Request) -> str | None:
    """Return the token that a request carries, if it does; raise :class:`Unauthorized`."""
    if "Authorization" in request.headers:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        if scheme.lower() != _SCHEME:
            raise Unauthorized("The header Authorization must say Bearer, then the token.")
        return token.strip()
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    for protocol in map(str.strip, offered):
        if protocol.startswith(TOKEN_SUBPROTOCOL_PREFIX):
            return protocol.removeprefix(TOKEN_SUBPROTOCOL_PREFIX)
    return None
