"""Serves the console's static files under addresses that hold their version."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from aiohttp import web

from daemon.errors import NotFound

routes = web.RouteTableDef()

_STATIC_FOLDER: Final = Path(__file__).parent.parent / "static"
_CONTENT_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_VERSION_DIGITS: Final = 12


@cache
def _read_files() -> dict[str, bytes]:
    """Return every file by its name; they are part of the package and do not change at run time."""
    return {path.name: path.read_bytes() for path in sorted(_STATIC_FOLDER.iterdir())}


@cache
def get_assets_version() -> str:
    """Return a hash of all files together."""
    # One for all: scripts import each other by relative paths, so they must change together.
    return hashlib.sha256(b"".join(_read_files().values())).hexdigest()[:_VERSION_DIGITS]


def build_asset_url(name: str) -> str:
    """Return the path of a file, with the version in it."""
    return f"/static/{get_assets_version()}/{name}"


@routes.get("/static/{version}/{name}")
async def serve_static_file(request: web.Request) -> web.Response:
    """Return a file; browsers may cache it for ever, because its path holds its version."""
    name = request.match_info["name"]
    content = _read_files().get(name)
    # A file of another version under this one's address would be cached for a year.
    if content is None or request.match_info["version"] != get_assets_version():
        raise NotFound(f"There is no file {name} in this version.")
    return web.Response(
        body=content,
        content_type=_CONTENT_TYPES[Path(name).suffix],
        charset="utf-8",
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
        },
    )
