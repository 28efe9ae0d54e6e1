"""Refuses what a browser is made to ask by another site's page: Origin and CSRF token."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from daemon.auth.refusals import CsrfRefused, OriginRefused
from daemon.auth.secret import derive_csrf_token, is_same_secret
from daemon.http.auth.peer import get_own_origin

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
