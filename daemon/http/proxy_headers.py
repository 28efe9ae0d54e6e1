"""The client's address and scheme, from the headers of a proxy on this machine only."""

from __future__ import annotations

import ipaddress
import socket

from aiohttp import web


def get_client_address(request: web.Request) -> str:
    """Return the client's address: by a local proxy's header, or else the peer's own."""
    peer = _get_peer_address(request)
    if not _is_local_peer(request, peer):
        return peer
    # A proxy appends to the header: what comes before was sent by the client and proves nothing.
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
    return forwarded if _parse_address(forwarded) else peer


def is_https(request: web.Request) -> bool:
    """Whether the client uses TLS, which only a proxy on this machine can provide."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
    return forwarded == "https" and _is_local_peer(request, _get_peer_address(request))


def get_own_origin(request: web.Request) -> str:
    """Return the origin of this daemon's pages, as the requesting browser would write it."""
    return f"{'https' if is_https(request) else 'http'}://{request.host}".lower()


def _get_peer_address(request: web.Request) -> str:
    """Return the peer's address; empty for a unix socket."""
    name = request.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) else ""


def _is_local_peer(request: web.Request, peer: str) -> bool:
    """Whether the peer is a process of this machine."""
    if parsed := _parse_address(peer):
        return parsed.is_loopback
    line = request.get_extra_info("socket")
    return line is not None and line.family == socket.AF_UNIX


def _parse_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
