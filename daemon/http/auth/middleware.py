"""The door's check: every request is somebody's who may do this, or it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.auth import ALL_SCOPES, AuthService, Identity, SignInMethod
from daemon.auth.access import get_required_scope
from daemon.auth.refusals import SignInThrottled
from daemon.http.auth.forgery import check_origin, is_safe_method, is_websocket_upgrade
from daemon.http.auth.identify import AUTH, get_auth, identify_request, is_anonymous, set_identity
from daemon.http.control import ACTOR

_RETRY_AFTER: Final = web.RequestKey("retry_after", int)
Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def install_authentication(application: web.Application, auth: Callable[[], AuthService]) -> None:
    """Let a door know the auth room: `auth` returns it, or raises :class:`Unavailable`."""
    application[AUTH] = auth
    application.on_response_prepare.append(_add_challenge_headers)


def allow_late_sign_in(handler: Handled) -> Handled:
    """Mark a WebSocket handler that takes the token from its first message: `sign_in_late`."""
    handler.__dict__["may_sign_in_later"] = True
    return handler


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks and whether they may; handlers read it with `identity_of`.

    Stands inside `problems`. What no route fits is not told apart for strangers.
    """
    if request.match_info.http_exception is not None:
        set_identity(request, await identify_request(request))
        return await handler(request)
    scope = get_required_scope(request.method, _get_route_template(request))
    if scope is None:
        if not is_safe_method(request):
            check_origin(request)
    elif not (_is_awaiting_token(request) and is_anonymous(request)):
        identity = await identify_request(request)
        identity.require(scope)
        set_identity(request, identity)
    try:
        return await handler(request)
    except SignInThrottled as error:
        request[_RETRY_AFTER] = error.seconds
        raise


async def authenticate_first_message(request: web.Request, token: str) -> Identity:
    """Return whose token came in a WebSocket's first message; raise as for any request."""
    identity = await get_auth(request).tokens.verify_token(token)
    if (scope := get_required_scope(request.method, _get_route_template(request))) is not None:
        identity.require(scope)
    set_identity(request, identity)
    return identity


@web.middleware
async def grant_all_scopes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let whoever the control socket obeys do everything. Stands inside its check of the peer."""
    set_identity(request, Identity(request[ACTOR], "", ALL_SCOPES, SignInMethod.CONTROL))
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
