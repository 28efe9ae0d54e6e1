"""Middlewares of both servers: limits on a request's duration and body, and compression."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import BodyTooLarge, EncodingRefused, Unavailable

BODY_LIMIT: Final = 1 << 20
"""The largest body in bytes, unless a route allows more."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_ACCEPTED_ENCODINGS: Final = frozenset({"", "identity"})

Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def allow_body_up_to(limit: int) -> Callable[[Handled], Handled]:
    """Mark a handler that allows larger bodies, and reads and counts them in chunks itself."""

    def mark(handler: Handled) -> Handled:
        handler.__dict__["body_limit"] = limit
        return handler

    return mark


def build_body_too_large(limit: int, hint: str = "") -> BodyTooLarge:
    """Return the error for a body of more than `limit` bytes."""
    return BodyTooLarge(f"The body is larger than {limit:,} bytes, the limit here.", hint=hint)


@web.middleware
async def limit_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body that is compressed or too large, by its declared length or by what arrives.

    Must run inside the authentication: only then is the client asked to send its body.
    """
    limit = getattr(request.match_info.handler, "body_limit", BODY_LIMIT)
    if (request.content_length or 0) > limit:
        raise build_body_too_large(limit)
    # A few bytes that unpack to gigabytes would pass any limit on what arrives.
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ACCEPTED_ENCODINGS:
        raise EncodingRefused(
            f"The body is compressed as {encoding[:20]!r}, which is not accepted."
        )
    expected = "100-continue" in request.headers.get("Expect", "").lower()
    if expected and request.match_info.http_exception is None:  # else aiohttp did so
        await request.writer.write(_CONTINUE)
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge as error:
        raise build_body_too_large(limit) from error


async def ignore_expect_header(_request: web.Request) -> None:
    """Replace aiohttp's answer to `Expect`, which would ask unauthenticated clients for a body."""


def defer_continue(routes: Iterable[web.AbstractRouteDef]) -> list[web.AbstractRouteDef]:
    """Return the routes with `Expect: 100-continue` left to :func:`limit_body`."""
    return [
        web.route(
            each.method,
            each.path,
            each.handler,
            **{**each.kwargs, "expect_handler": ignore_expect_header},
        )
        if isinstance(each, web.RouteDef)
        else each
        for each in routes
    ]


MIN_COMPRESSED_BYTES: Final = 2048
"""Bytes from which compressing saves more than it costs."""
_COMPRESSED_TYPES: Final = frozenset({"application/json", "text/csv"})
"""Types to compress. Not pages: a secret beside reflected input can be guessed by its size."""


@web.middleware
async def compress_response(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress large answers; streams are not compressed, so that each line arrives at once."""
    response = await handler(request)
    if (
        isinstance(response, web.Response)
        and response.content_type in _COMPRESSED_TYPES
        and isinstance(response.body, bytes)
        and len(response.body) >= MIN_COMPRESSED_BYTES
    ):
        response.headers["Vary"] = "Accept-Encoding"
        response.enable_compression()
    return response


@web.middleware
async def limit_duration(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Limit the duration of every request, except those of streaming handlers."""
    if getattr(request.match_info.handler, "endless", False):
        return await handler(request)
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
            return await handler(request)
    except TimeoutError as error:
        raise Unavailable(f"This took longer than {RESPONSE_TIMEOUT_SECONDS:g} s.") from error


RESPONSE_TIMEOUT_SECONDS: Final = 60.0
