"""How large a body may be: what says that it is larger is refused before any of it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.errors import BodyTooLarge, EncodingRefused

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
    if "100-continue" in request.headers.get("Expect", "").lower():
        await request.writer.write(_CONTINUE)
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge as error:
        raise build_body_too_large(limit) from error


async def ignore_expect_header(_request: web.Request) -> None:
    """Leave the answer to `Expect` to :func:`bounded`: the library's own invites everybody."""


def defer_continue(routes: Iterable[web.AbstractRouteDef]) -> list[web.AbstractRouteDef]:
    """Return routes whose bodies are asked for by :func:`bounded` and not before."""
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
