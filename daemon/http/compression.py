"""Makes large answers small on their way, for clients that can take them so."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

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
