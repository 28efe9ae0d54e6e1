"""Authenticates requests by token or cookie, and checks that the scopes allow the route."""

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
from daemon.http.proxy_headers import get_client_address

AUTH: Final[web.AppKey[Callable[[], AuthService]]] = web.AppKey("auth")
"""A function that returns the auth service, or raises :class:`Unavailable`."""
ACTOR: Final = web.RequestKey("who", str)
"""The key of a request's user name, as the audit shows it."""
IDENTITY: Final = web.RequestKey("identity", Principal)
TOKEN_SUBPROTOCOL_PREFIX: Final = "leadmaster.token."  # noqa: S105 - what stands before one
"""The prefix of a WebSocket subprotocol that carries a token, since browsers can't send a header.

The server never chooses such a subprotocol, so that the token is not sent back.
"""
_SCHEME: Final = "bearer"


def get_auth(request: web.Request) -> AuthService:
    """Return the auth service; raise :class:`Unavailable` while there is none."""
    return request.app[AUTH]()


def get_identity(request: web.Request) -> Principal:
    """Return the identity behind a request; raise :class:`Unauthorized` where there is none."""
    found: Principal | None = request.get(IDENTITY)
    if found is None:
        raise Unauthorized("Nobody has signed in on this connection.")
    return found


def set_identity(request: web.Request, identity: Principal) -> None:
    """Set the identity of a request for its handlers."""
    request[IDENTITY] = identity
    request[ACTOR] = identity.who


async def identify_request(request: web.Request) -> Principal:
    """Authenticate a request by its token or its cookie; return the identity.

    Raises :class:`Unauthorized` without credentials, or the error of the credentials.
    """
    known: Principal | None = request.get(IDENTITY)
    if known is not None:
        return known
    # The token first: no other site's page can make a browser send one, so it needs no CSRF check.
    if (token := get_token(request)) is not None:
        return await get_auth(request).tokens.verify_token(token, get_client_address(request))
    if (secret := get_session_secret(request)) is not None:
        address = get_client_address(request)
        identity = await get_auth(request).sign_ins.identify(secret, address)
        check_csrf(request, secret)
        return identity
    raise Unauthorized("Nobody is signed in, and no token was sent.")


def is_anonymous(request: web.Request) -> bool:
    """Whether a request carries neither a token nor a cookie."""
    return get_token(request) is None and get_session_secret(request) is None


def get_token(request: web.Request) -> str | None:
    """Return a request's token, or None; raise :class:`Unauthorized` for another scheme."""
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
    """Set a server's auth service: `auth` returns it, or raises :class:`Unavailable`."""
    application[AUTH] = auth
    application.on_response_prepare.append(_add_challenge_headers)


def allow_late_sign_in(handler: Handled) -> Handled:
    """Mark a WebSocket handler that takes the token from its first message."""
    handler.__dict__["may_sign_in_later"] = True
    return handler


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Authenticate a request and check its scope; handlers read :func:`get_identity`.

    Must run inside :func:`answer_errors_with_problems`.
    """
    # Without a matching route too: anonymous clients must not learn which paths exist.
    if request.match_info.http_exception is not None:
        set_identity(request, await identify_request(request))
        return await handler(request)
    access = get_required_scope(request.method, _get_route_template(request))
    if access is None:
        # Open routes change something too: signing in. Another site's page must not do that.
        if not is_safe_method(request):
            check_origin(request)
    elif not (_is_awaiting_token(request) and is_anonymous(request)):
        identity = await identify_request(request)
        # Before the check: the page of a refusal is in its reader's frame.
        set_identity(request, identity)
        if isinstance(access, Scope):
            identity.require(access)
    try:
        return await handler(request)
    except SignInThrottled as error:
        request[_RETRY_AFTER] = error.seconds
        raise


async def authenticate_first_message(request: web.Request, token: str) -> Principal:
    """Authenticate a WebSocket by the token of its first message, and check the route's scope."""
    address = get_client_address(request)
    identity = await get_auth(request).tokens.verify_token(token, address)
    access = get_required_scope(request.method, _get_route_template(request))
    if isinstance(access, Scope):
        identity.require(access)
    set_identity(request, identity)
    return identity


@web.middleware
async def grant_all_scopes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every scope to the user of the control socket; must run inside its peer check."""
    set_identity(request, Principal(request[ACTOR], "", ALL_SCOPES, SignInMethod.CONTROL))
    return await handler(request)


def _get_route_template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else request.path


def _is_awaiting_token(request: web.Request) -> bool:
    marked = getattr(request.match_info.handler, "may_sign_in_later", False)
    return marked and is_websocket_upgrade(request)


async def _add_challenge_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that HTTP requires: WWW-Authenticate to a 401, Retry-After to a 429."""
    if response.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="leadmaster"'
    if (seconds := request.get(_RETRY_AFTER)) is not None:
        response.headers["Retry-After"] = str(seconds)
