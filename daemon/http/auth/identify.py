"""Finds out who makes a request: by token, by WebSocket subprotocol, or by cookie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from daemon.auth import Auth, Identity
from daemon.auth.refusals import Unauthorized
from daemon.http.auth.cookies import secret_of
from daemon.http.auth.forgery import refuse_forged
from daemon.http.control import WHO

AUTH: Final[web.AppKey[Callable[[], Auth]]] = web.AppKey("auth")
"""Returns the auth room, or raises :class:`Unavailable` while there is none."""
IDENTITY: Final = web.RequestKey("identity", Identity)
TOKEN_PROTOCOL: Final = "leadmaster.token."  # noqa: S105 - what stands before one
"""A WebSocket client may send its token as a subprotocol that begins so: browsers allow no header.

The server never chooses that one, so that the token is not sent back.
"""
_SCHEME: Final = "bearer"


def auth_of(request: web.Request) -> Auth:
    """Return the auth room behind this door; raise :class:`Unavailable` while there is none."""
    return request.app[AUTH]()


def identity_of(request: web.Request) -> Identity:
    """Return who makes a request, as the door found out; raise :class:`Unauthorized`."""
    found: Identity | None = request.get(IDENTITY)
    if found is None:
        raise Unauthorized("Nobody has signed in on this connection.")
    return found


def know(request: web.Request, identity: Identity) -> None:
    """Let the handlers of a request see who makes it."""
    request[IDENTITY] = identity
    request[WHO] = identity.who


async def identify(request: web.Request) -> Identity:
    """Return who makes a request, unless the door knows already.

    Raises :class:`Unauthorized` where it does not say, or why what it says is not believed. A
    token goes before a cookie: no page of another site can make a browser send one.
    """
    known: Identity | None = request.get(IDENTITY)
    if known is not None:
        return known
    if (token := token_of(request)) is not None:
        return await auth_of(request).tokens.verify(token)
    if (secret := secret_of(request)) is not None:
        identity = await auth_of(request).sign_ins.identify(secret)
        refuse_forged(request, secret)
        return identity
    raise Unauthorized("Nobody is signed in, and no token was sent.")


def is_anonymous(request: web.Request) -> bool:
    """Whether a request says nothing at all about who makes it."""
    return token_of(request) is None and secret_of(request) is None


def token_of(request: web.Request) -> str | None:
    """Return the token that a request carries, if it does; raise :class:`Unauthorized`."""
    if "Authorization" in request.headers:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        if scheme.lower() != _SCHEME:
            raise Unauthorized("The header Authorization must say Bearer, then the token.")
        return token.strip()
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    for protocol in map(str.strip, offered):
        if protocol.startswith(TOKEN_PROTOCOL):
            return protocol.removeprefix(TOKEN_PROTOCOL)
    return None
