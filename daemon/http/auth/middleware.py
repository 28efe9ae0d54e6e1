"""The door's check: every request is somebody's who may do this, or it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.auth import ALL_SCOPES, Auth, Identity, SignInMethod
from daemon.auth.access import required
from daemon.auth.refusals import Throttled
from daemon.http.auth.forgery import is_safe, is_upgrade, refuse_foreign
from daemon.http.auth.identify import AUTH, auth_of, identify, is_anonymous, know
from daemon.http.control import WHO

_RETRY_AFTER: Final = web.RequestKey("retry_after", int)
Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def open_to(application: web.Application, auth: Callable[[], Auth]) -> None:
    """Let a door know the auth room: `auth` returns it, or raises :class:`Unavailable`."""
    application[AUTH] = auth
    application.on_response_prepare.append(_tell_how)


def may_sign_in_later(handler: Handled) -> Handled:
    """Mark a WebSocket handler that takes the token from its first message: `sign_in_late`."""
    handler.__dict__["may_sign_in_later"] = True
    return handler


@web.middleware
async def authenticated(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks and whether they may; handlers read it with `identity_of`.

    Stands inside `problems`. What no route fits is not told apart for strangers.
    """
    if request.match_info.http_exception is not None:
        know(request, await identify(request))
        return await handler(request)
    scope = required(request.method, _path(request))
    if scope is None:
        if not is_safe(request):
            refuse_foreign(request)
    elif not (_waits_for_token(request) and is_anonymous(request)):
        identity = await identify(request)
        identity.require(scope)
        know(request, identity)
    try:
        return await handler(request)
    except Throttled as error:
        request[_RETRY_AFTER] = error.seconds
        raise


async def sign_in_late(request: web.Request, token: str) -> Identity:
    """Return whose token came in a WebSocket's first message; raise as for any request."""
    identity = await auth_of(request).tokens.verify(token)
    if (scope := required(request.method, _path(request))) is not None:
        identity.require(scope)
    know(request, identity)
    return identity


@web.middleware
async def as_owner(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let whoever the control socket obeys do everything. Stands inside its check of the peer."""
    know(request, Identity(request[WHO], "", ALL_SCOPES, SignInMethod.CONTROL))
    return await handler(request)


def _path(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else request.path


def _waits_for_token(request: web.Request) -> bool:
    marked = getattr(request.match_info.handler, "may_sign_in_later", False)
    return marked and is_upgrade(request)


async def _tell_how(request: web.Request, response: web.StreamResponse) -> None:
    """Add to a refusal what HTTP wants there: how to sign in, or when to try again."""
    if response.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="leadmaster"'
    if (seconds := request.get(_RETRY_AFTER)) is not None:
        response.headers["Retry-After"] = str(seconds)
