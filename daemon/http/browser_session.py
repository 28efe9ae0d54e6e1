"""The session cookie of a signed-in browser, and the Origin and CSRF checks of its requests."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.auth.errors import CsrfRefused, OriginRefused
from daemon.auth.sign_ins import derive_csrf_token, is_same_secret
from daemon.http.proxy_headers import get_own_origin, is_https

COOKIE_NAME: Final = "leadmaster"
COOKIE_PREFIX: Final = "__Host-"
"""A browser accepts a cookie with this prefix over TLS only, and only for the host that sets it."""


def get_session_secret(request: web.Request) -> str | None:
    """Return the secret in the browser's cookie, or None."""
    return request.cookies.get(_get_cookie_name(request))


def set_session_cookie(
    request: web.Request, response: web.Response, secret: str, lasts: timedelta
) -> None:
    """Set the session cookie, hidden from scripts and not sent with other sites' requests."""
    response.set_cookie(
        _get_cookie_name(request),
        secret,
        # A length and not a moment: the browser's clock need not agree with the daemon's.
        max_age=int(lasts.total_seconds()),
        httponly=True,
        secure=is_https(request),
        samesite="Strict",
    )


def delete_session_cookie(request: web.Request, response: web.Response) -> None:
    """Delete the session cookie."""
    response.del_cookie(
        _get_cookie_name(request), httponly=True, secure=is_https(request), samesite="Strict"
    )


def _get_cookie_name(request: web.Request) -> str:
    return f"{COOKIE_PREFIX if is_https(request) else ''}{COOKIE_NAME}"


LANGUAGE_COOKIE: Final = "language"
"""Pages set it too: the choice of a browser whose user has none stored."""
_LANGUAGE_DAYS: Final = 365


def set_language_cookie(request: web.Request, response: web.Response, language: str | None) -> None:
    """Set the language of this browser's pages; None: as it asks by itself."""
    if language is None:
        response.del_cookie(LANGUAGE_COOKIE, samesite="Strict")
        return
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        max_age=int(timedelta(days=_LANGUAGE_DAYS).total_seconds()),
        secure=is_https(request),
        samesite="Strict",
    )


CSRF_HEADER: Final = "X-CSRF-Token"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_safe_method(request: web.Request) -> bool:
    """Whether the request's method is one that changes nothing."""
    return request.method in _SAFE_METHODS


def is_websocket_upgrade(request: web.Request) -> bool:
    """Whether the request asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def check_origin(request: web.Request) -> None:
    """Raise :class:`OriginRefused` for a request from another site's page."""
    if "Origin" in request.headers:  # browsers always send it with a change; programs do not
        _require_own_origin(request)


def check_csrf(request: web.Request, secret: str) -> None:
    """Check the origin and the CSRF token of a request with the cookie `secret`.

    Raises :class:`OriginRefused`, or :class:`CsrfRefused` for a change without our page's token.
    """
    # A WebSocket begins as a GET, but no same-origin policy keeps other sites from reading it.
    if is_websocket_upgrade(request):
        _require_own_origin(request)
    if is_safe_method(request):
        return
    _require_own_origin(request)
    if not is_same_secret(request.headers.get(CSRF_HEADER, ""), derive_csrf_token(secret)):
        raise CsrfRefused(f"The header {CSRF_HEADER} is missing, or belongs to another sign-in.")


def _require_own_origin(request: web.Request) -> None:
    if request.headers.get("Origin", "").lower() != get_own_origin(request):
        raise OriginRefused("The request does not come from a page of this installation.")
