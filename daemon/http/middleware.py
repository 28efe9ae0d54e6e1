"""Middlewares of both servers: limits on a request's duration and body, and compression."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import BodyTooLarge, EncodingRefused, Unavailable

BODY_LIMIT: Final = 1 << 20
"""Bytes of a body, where a route does not take more."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_ACCEPTED_ENCODINGS: Final = frozenset({"", "identity"})

Handled = TypeVar("Handled", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


def allow_body_up_to(limit: int) -> Callable[[Handled], Handled]:
    """Mark a handler that takes longer bodies, which it reads piece by piece and counts itself."""

    def mark(handler: Handled) -> Handled:
        handler.__dict__["body_limit"] = limit
        return handler

    return mark


def build_body_too_large(limit: int, hint: str = "") -> BodyTooLarge:
    """Return the refusal of a body past a limit in bytes."""
    return BodyTooLarge(
        f"The body is larger than {limit:,} bytes, the most that is taken here.", hint=hint
    )


@web.middleware
async def limit_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body that is too large, by what it says of itself or by what comes.

    Stands inside the check of who asks, so that nobody is invited to send what they may not.
    """
    limit = getattr(request.match_info.handler, "body_limit", BODY_LIMIT)
    if (request.content_length or 0) > limit:
        raise build_body_too_large(limit)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ACCEPTED_ENCODINGS:
        raise EncodingRefused(f"The body is encoded as {encoding[:20]!r}; a small one may be huge.")
    expected = "100-continue" in request.headers.get("Expect", "").lower()
    if expected and request.match_info.http_exception is None:  # else the library did so already
        await request.writer.write(_CONTINUE)
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge as error:
        raise build_body_too_large(limit) from error


async def ignore_expect_header(_request: web.Request) -> None:
    """Leave the answer to `Expect` to :func:`limit_body`: the library's own invites everybody."""


def defer_continue(routes: Iterable[web.AbstractRouteDef]) -> list[web.AbstractRouteDef]:
    """Return routes whose bodies are asked for by :func:`limit_body` and not before."""
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
"""Lists and exports. Pages are left as they are: they hold a secret beside what a query says."""


@web.middleware
async def compress_response(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Compress a large answer; streams stay as they are, so that each line arrives at once."""
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
    """Let no request take for ever but those that are meant to."""
    if getattr(request.match_info.handler, "endless", False):
        return await handler(request)
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
            return await handler(request)
    except TimeoutError as error:
        raise Unavailable(f"This took longer than {RESPONSE_TIMEOUT_SECONDS:g} s.") from error


RESPONSE_TIMEOUT_SECONDS: Final = 60.0
