"""The door of the stream: the handshake before a connection, and the close after it."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from daemon.errors import BadRequest
from daemon.http.auth.identify import IDENTITY
from daemon.http.vitals import get_services
from daemon.http.ws.connection import WebSocketConnection
from daemon.http.ws.endings import CloseReason
from daemon.http.ws.interest import check_subscription
from daemon.http.ws.limits import MAX_MESSAGE_BYTES, SUBPROTOCOL, StreamLimits
from daemon.http.ws.listener import ClientQueue
from daemon.http.ws.messages import read_subscription_query
from daemon.http.ws.room import ClientRegistry

CLIENT_REGISTRY: Final = web.AppKey("stream", ClientRegistry)
"""Who is connected to a door."""


def install_websocket(application: web.Application, limits: StreamLimits | None = None) -> None:
    """Let a door serve the stream; at its shutdown every client is closed with 1012."""
    room = ClientRegistry(limits or StreamLimits())
    application[CLIENT_REGISTRY] = room

    async def close(_application: web.Application) -> None:
        await room.close()

    application.on_shutdown.append(close)


async def serve_websocket(request: web.Request) -> web.StreamResponse:
    """Serve the stream to one client; what is wrong before it begins is a problem document.

    Whoever the handshake did not name signs in with the first message.
    """
    _require_subprotocol(request)
    room, house, wanted = (
        request.app[CLIENT_REGISTRY],
        get_services(request),
        read_subscription_query(request),
    )
    identity = request.get(IDENTITY)
    if identity is not None:
        check_subscription(wanted, identity.scopes)
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=room.limits.ping,
        timeout=room.limits.close,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,  # it costs 100 KiB for each client, and a copy of each frame
    )
    try:
        sink, line = await socket.prepare(request), request.transport
    except ConnectionError:
        return socket
    if line is None:
        return socket
    listener = ClientQueue(line, sink.drain, room.limits.queue)
    ending = await WebSocketConnection(request, socket, listener, room, house, identity).run(wanted)
    await _close(socket, line, ending, room.limits.linger)
    return socket


async def _close(
    socket: web.WebSocketResponse, line: asyncio.Transport, ending: CloseReason, linger: float
) -> None:
    """Say why; who does not read even that is cut off, or it would keep its buffer for ever."""
    asyncio.get_running_loop().call_later(linger, line.abort)
    await socket.close(code=ending.code, message=ending.reason.encode(), drain=False)


def _require_subprotocol(request: web.Request) -> None:
    """Raise :class:`BadRequest` unless the client offers our protocol in the first such header.

    The library looks at no other; and where it finds nothing that it knows, it logs the offer,
    and with it a token.
    """
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    if SUBPROTOCOL not in map(str.strip, offered):
        raise BadRequest(
            f"The client does not offer the subprotocol {SUBPROTOCOL}.",
            hint=f"Send Sec-WebSocket-Protocol: {SUBPROTOCOL}, and the token after a comma.",
        )
