"""Finds out who makes a request, by token or cookie, and whether their scopes allow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.auth import ALL_SCOPES, AuthService, Principal, Scope, SignInMethod
from daemon.auth.access import get_required_scope
from daemon.auth.errors import SignInThrottled, Unauthorized
from daemon.http.browser_session import (
    check_csrf,
    check_origin,
    get_session_secret,
    is_safe_method,
    is_websocket_upgrade,
)

AUTH: Final[web.AppKey[Callable[[], AuthService]]] = web.AppKey("auth")
"""Returns the auth service, or raises :class:`Unavailable` while there is none."""
ACTOR: Final = web.RequestKey("who", str)
"""The key under which a request carries the name of its user."""
IDENTITY: Final = web.RequestKey("identity", Principal)
TOKEN_SUBPROTOCOL_PREFIX: Final = "leadmaster.token."  # noqa: S105 - what stands before one
"""A WebSocket client may send its token as a subprotocol that begins so: browsers allow no header.

The server never chooses that one, so that the token is not sent back.
"""
_SCHEME: Final = "bearer"


def get_auth(request: web.Request) -> AuthService:
    """Return the auth service; raise :class:`Unavailable` while there is none."""
    return request.app[AUTH]()


def get_identity(request: web.Request) -> Principal:
    """Return who makes a request, as the server found out; raise :class:`Unauthorized`."""
    found: Principal | None = request.get(IDENTITY)
    if found is None:
        raise Unauthorized("Nobody has signed in on this connection.")
    return found


def set_identity(request: web.Request, identity: Principal) -> None:
    """Let the handlers of a request see who makes it."""
    request[IDENTITY] = identity
    request[ACTOR] = identity.who


async def identify_request(request: web.Request) -> Principal:
    """Return who makes a request, unless the server knows already.

    Raises :class:`Unauthorized` where it does not say, or why what it says is not believed. A
    token goes before a cookie: no page of another site can make a browser send one.
    """
    known: Principal | None = request.get(IDENTITY)
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


_RETRY_AFTER: Final = web.RequestKey("retry_after", int)
Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def install_authentication(application: web.Application, auth: Callable[[], AuthService]) -> None:
    """Let a server know the auth service: `auth` returns it, or raises :class:`Unavailable`."""
    application[AUTH] = auth
    application.on_response_prepare.append(_add_challenge_headers)


def allow_late_sign_in(handler: Handled) -> Handled:
    """Mark a WebSocket handler that takes the token from its first message."""
    handler.__dict__["may_sign_in_later"] = True
    return handler


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks and whether they may; handlers read it with :func:`get_identity`.

    Stands inside :func:`answer_errors_with_problems`. Anonymous clients can't distinguish what
    no route fits.
    """
    if request.match_info.http_exception is not None:
        set_identity(request, await identify_request(request))
        return await handler(request)
    access = get_required_scope(request.method, _get_route_template(request))
    if access is None:
        if not is_safe_method(request):
            check_origin(request)
    elif not (_is_awaiting_token(request) and is_anonymous(request)):
        identity = await identify_request(request)
        if isinstance(access, Scope):
            identity.require(access)
        set_identity(request, identity)
    try:
        return await handler(request)
    except SignInThrottled as error:
        request[_RETRY_AFTER] = error.seconds
        raise


async def authenticate_first_message(request: web.Request, token: str) -> Principal:
    """Return whose token came in a WebSocket's first message; raise as for any request."""
    identity = await get_auth(request).tokens.verify_token(token)
    access = get_required_scope(request.method, _get_route_template(request))
    if isinstance(access, Scope):
        identity.require(access)
    set_identity(request, identity)
    return identity


@web.middleware
async def grant_all_scopes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let whoever the control socket obeys do everything. Stands inside its check of the peer."""
    set_identity(request, Principal(request[ACTOR], "", ALL_SCOPES, SignInMethod.CONTROL))
    return await handler(request)


def _get_route_template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else request.path


def _is_awaiting_token(request: web.Request) -> bool:
    marked = getattr(request.match_info.handler, "may_sign_in_later", False)
    return marked and is_websocket_upgrade(request)


async def _add_challenge_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to a refusal what HTTP wants there: how to sign in, or when to try again."""
    if response.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="leadmaster"'
    if (seconds := request.get(_RETRY_AFTER)) is not None:
        response.headers["Retry-After"] = str(seconds)
