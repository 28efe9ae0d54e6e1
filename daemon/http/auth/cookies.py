"""The one cookie: given at sign-in, read at each request, taken back at sign-out."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from aiohttp import web

from daemon.http.auth.peer import is_https

_COOKIE_NAME: Final = "leadmaster"
_COOKIE_PREFIX: Final = "__Host-"
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
    return f"{_COOKIE_PREFIX if is_https(request) else ''}{_COOKIE_NAME}"
