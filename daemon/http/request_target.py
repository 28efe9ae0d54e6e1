"""Checks what a request is addressed to: its host must be ours, its path and query be UTF-8."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.errors import BadRequest, LeadMasterError
from daemon.settings import Settings

_LOOPBACK_NAME: Final = "localhost"


class HostRefused(LeadMasterError):
    """The request is addressed to a host name that is not this installation's."""

    code = "host_refused"
    status = 421
    hint = (
        "Set [auth] public_url to the address that people open, such as https://leads.example.org"
    )


@web.middleware
async def check_target_encoding(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a path or query whose percent-encoded bytes are no UTF-8."""
    # The library puts other characters in their place, and the request would ask for something
    # else than was sent.
    try:
        unquote_to_bytes(request.raw_path.encode(errors="surrogateescape")).decode()
    except UnicodeDecodeError as error:
        raise BadRequest(
            "The address contains bytes that are no UTF-8.",
            hint="Encode the text as UTF-8 first, and then its bytes as %XX.",
        ) from error
    return await handler(request)


def build_host_check(settings: Settings) -> Middleware:
    """Return the middleware that admits requests to this installation's own names only.

    These are the host of `public_url`, the one that the daemon listens on, and every loopback
    address; besides them the address at which the connection arrived.
    """
    own = {_LOOPBACK_NAME, settings.daemon.host.lower()}
    if named := _parse_host(settings.auth.public_url.partition("//")[2].partition("/")[0]):
        own.add(named)

    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a page that has given its own name our address (DNS rebinding)."""
        # HTTP/1.0 needs no Host, and no browser sends it; a whole address is the host before it.
        if "Host" not in request.headers:
            return await handler(request)
        for host in map(_parse_host, (request.headers["Host"], request.url.raw_authority)):
            if host not in own and not _is_own_address(host, request):
                raise HostRefused("The request is for another host than this installation.")
        return await handler(request)

    return check_host


def _parse_host(authority: str) -> str:
    """Return the host of `host:port`, in lower case; empty where there is none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_own_address(host: str, request: web.Request) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    local = request.get_extra_info("sockname")
    return address.is_loopback or (isinstance(local, tuple) and str(address) == local[0])
