"""The session cookie of a signed-in browser, and the Origin and CSRF checks on what it sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.auth.errors import CsrfRefused, OriginRefused
from daemon.auth.sign_ins import derive_csrf_token, is_same_secret
from daemon.http.proxy_headers import get_own_origin, is_https

COOKIE_NAME: Final = "leadmaster"
COOKIE_PREFIX: Final = "__Host-"
"""With it a browser takes the cookie over TLS only, from this host only, for this host only."""


def get_session_secret(request: web.Request) -> str | None:
    """Return what the browser's cookie says, or None where it has none."""
    return request.cookies.get(_get_cookie_name(request))


def set_session_cookie(
    request: web.Request, response: web.Response, secret: str, lasts: timedelta
) -> None:
    """Let the browser keep a secret that its scripts can't read and other sites can't use.

    It lasts so long by the browser's own clock, which need not be the daemon's.
    """
    response.set_cookie(
        _get_cookie_name(request),
        secret,
        max_age=int(lasts.total_seconds()),
        httponly=True,
        secure=is_https(request),
        samesite="Strict",
    )


def delete_session_cookie(request: web.Request, response: web.Response) -> None:
    """Let the browser forget its secret."""
    response.del_cookie(
        _get_cookie_name(request), httponly=True, secure=is_https(request), samesite="Strict"
    )


def _get_cookie_name(request: web.Request) -> str:
    return f"{COOKIE_PREFIX if is_https(request) else ''}{COOKIE_NAME}"


CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_safe_method(request: web.Request) -> bool:
    """Whether the request's method promises to change nothing."""
    return request.method in _SAFE_METHODS


def is_websocket_upgrade(request: web.Request) -> bool:
    """Whether the request asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def check_origin(request: web.Request) -> None:
    """Raise :class:`OriginRefused` where a browser names another site; programs name none."""
    if "Origin" in request.headers:
        _require_own_origin(request)


def check_csrf(request: web.Request, secret: str) -> None:
    """Judge a request that a cookie's `secret` came with; reading is free but for WebSockets.

    Raises :class:`OriginRefused`, or :class:`CsrfRefused` for a change without our page's token.
    """
    if is_websocket_upgrade(request):
        _require_own_origin(request)
    if is_safe_method(request):
        return
    _require_own_origin(request)
    if not is_same_secret(request.headers.get(CSRF_HEADER, ""), derive_csrf_token(secret)):
        raise CsrfRefused(f"The header {CSRF_HEADER} is missing, or not this sign-in's.")


def _require_own_origin(request: web.Request) -> None:
    if request.headers.get("Origin", "").lower() != get_own_origin(request):
        raise OriginRefused("The request does not come from a page of this installation.")
