"""One WebSocket connection: handshake, sign-in, reading and writing, close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

import msgspec
import structlog
from aiohttp import WSMsgType, web

from daemon.auth import Principal
from daemon.auth.errors import Unauthorized
from daemon.errors import BadRequest, LeadMasterError
from daemon.http.authentication import IDENTITY, authenticate_first_message, get_auth
from daemon.http.health import get_services
from daemon.http.websocket import frames
from daemon.http.websocket.client import (
    MAX_MESSAGE_BYTES,
    MAX_MISTAKES,
    SUBPROTOCOL,
    ClientQueue,
    StreamLimits,
)
from daemon.http.websocket.frames import CloseReason
from daemon.http.websocket.hub import ClientRegistry
from daemon.http.websocket.stream import ClientStream
from daemon.http.websocket.subscription import (
    SignInFrame,
    SubscribeFrame,
    SubscriptionRequest,
    check_subscription,
    parse_client_frame,
    read_subscription_query,
)
from daemon.services import Services
from storage.errors import StorageError

log = structlog.get_logger("stream")

_CLOSED_TYPES: Final = {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}


class WebSocketConnection:
    """A connected client: one task reads, one writes, and :meth:`run` waits for the end.

    `identity` is None for a client that has to sign in with its first message.
    """

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        queue: ClientQueue,
        registry: ClientRegistry,
        services: Services,
        identity: Principal | None,
    ) -> None:
        self._request = request
        self._socket = socket
        self._queue = queue
        self._registry = registry
        self._services = services
        self._identity = identity
        self._stream: ClientStream | None = None
        self._check_due = asyncio.Event()

    async def run(self, subscription: SubscriptionRequest) -> frames.CloseReason:
        """Serve until the client or the daemon ends the connection; return why."""
        reading = asyncio.create_task(self._guard(self._run_reader(subscription)))
        writing = asyncio.create_task(self._guard(self._queue.run_writer()))
        try:
            return await self._wait_for_end()
        finally:
            reading.cancel()
            writing.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            if self._stream is not None:
                self._stream.close()

    async def _wait_for_end(self) -> CloseReason:
        """Check the connection's rights at each change and every so often, until it ends."""
        ended = self._queue.ended
        ended.add_done_callback(lambda _: self._check_due.set())
        while not ended.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._registry.limits.recheck):
                    await self._check_due.wait()
            self._check_due.clear()
            if not ended.done():
                await self._guard(self._recheck())
        return ended.result()

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of the work; an error ends this connection, and nothing else."""
        try:
            await work
        except LeadMasterError as error:
            self._queue.enqueue(frames.build_error_frame(error))
            self._queue.close_with(frames.close_reason_from_error(error))
        except ConnectionError:
            self._queue.close_with(frames.CLOSE_CLIENT_LEFT)
        except StorageError as error:
            log.warning("stream_interrupted", error=type(error).__name__)
            self._queue.close_with(frames.CLOSE_RESTARTING)
        except Exception:
            log.exception("stream_failed")
            self._queue.close_with(frames.CLOSE_INTERNAL_ERROR)

    async def _run_reader(self, subscription: SubscriptionRequest) -> None:
        """Sign the client in if needed, then serve its subscriptions until it leaves."""
        if self._identity is None:
            # Two limits, so that clients who never sign in can't take the places of those who do.
            with self._registry.unauthenticated_slot(self._queue):
                subscription, self._identity = await self._sign_in(subscription)
        changes = get_auth(self._request).access_changes
        with (
            self._registry.signed_in_slot(self._queue),
            changes.watch(self._identity.user, self._check_due),
        ):
            await self._run_stream(self._identity, subscription)

    async def _sign_in(
        self, subscription: SubscriptionRequest
    ) -> tuple[SubscriptionRequest, Principal]:
        """Sign in by the first message; its subscription overrules the one in the address."""
        seconds = self._registry.limits.sign_in
        try:
            async with asyncio.timeout(seconds):
                received = await self._receive()
        except TimeoutError as error:
            raise Unauthorized(f"No sign_in came within {seconds:g} s.") from error
        message = parse_client_frame(received)
        if not isinstance(message, SignInFrame):
            raise Unauthorized("Nobody has signed in here: the first message must be sign_in.")
        identity = await authenticate_first_message(self._request, message.token)
        named = {name: getattr(message, name) for name in SubscriptionRequest.__struct_fields__}
        given = {name: value for name, value in named.items() if value is not None}
        return msgspec.structs.replace(subscription, **given), identity

    async def _run_stream(self, identity: Principal, subscription: SubscriptionRequest) -> None:
        """Begin the stream, and handle the client's messages; answer those that can't be used."""
        hub = await self._registry.open_hub(self._services)
        stream = ClientStream(self._services, hub, self._queue, identity.scopes)
        self._stream = stream
        stream.start(subscription)
        for _ in range(MAX_MISTAKES + 1):
            try:
                while True:
                    await stream.resubscribe(_require_subscribe(await self._receive()))
            except LeadMasterError as error:
                self._queue.enqueue(frames.build_error_frame(error))
        self._queue.close_with(frames.CLOSE_TOO_MANY_MISTAKES)

    async def _receive(self) -> object:
        """Return the client's next message; raise ConnectionResetError where it has left."""
        said = await self._socket.receive()
        if said.type in _CLOSED_TYPES:
            raise ConnectionResetError
        return said.data

    async def _recheck(self) -> None:
        """End a connection that was closed, or whose identity lost or gained scopes."""
        if self._socket.closed:
            raise ConnectionResetError
        if self._identity is not None:
            now = await get_auth(self._request).refresh_identity(self._identity)
            if now.scopes != self._identity.scopes:
                self._queue.close_with(frames.CLOSE_RIGHTS_CHANGED)


def _require_subscribe(said: object) -> SubscribeFrame:
    message = parse_client_frame(said)
    if isinstance(message, SignInFrame):
        raise BadRequest("You have signed in already.", hint="Connect anew to be somebody else.")
    return message


CLIENT_REGISTRY: Final = web.AppKey("stream", ClientRegistry)
"""The connected clients of a server."""


def install_websocket(application: web.Application, limits: StreamLimits | None = None) -> None:
    """Prepare a server for the event stream; at its shutdown every client is closed with 1012."""
    registry = ClientRegistry(limits or StreamLimits())
    application[CLIENT_REGISTRY] = registry

    async def close(_application: web.Application) -> None:
        await registry.close()

    application.on_shutdown.append(close)


async def serve_websocket(request: web.Request) -> web.StreamResponse:
    """Serve the event stream to one client; an error before it begins is a problem document.

    A client without credentials in its handshake signs in with the first message.
    """
    _require_subprotocol(request)
    registry, services, subscription = (
        request.app[CLIENT_REGISTRY],
        get_services(request),
        read_subscription_query(request),
    )
    identity = request.get(IDENTITY)
    if identity is not None:
        check_subscription(subscription, identity.scopes)
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        heartbeat=registry.limits.ping,
        timeout=registry.limits.close,
        max_msg_size=MAX_MESSAGE_BYTES,
        compress=False,  # costs 100 KiB a client, and compresses each frame for each
    )
    try:
        sink, transport = await socket.prepare(request), request.transport
    except ConnectionError:
        return socket
    if transport is None:  # the client left during the handshake
        return socket
    queue = ClientQueue(transport, sink.drain, registry.limits.queue)
    ending = await WebSocketConnection(request, socket, queue, registry, services, identity).run(
        subscription
    )
    await _close(socket, transport, ending, registry.limits.linger)
    return socket


async def _close(
    socket: web.WebSocketResponse, transport: asyncio.Transport, ending: CloseReason, linger: float
) -> None:
    """Close with a code and a reason; abort the connection where that takes too long."""
    # A client that reads nothing would keep its buffer for ever.
    asyncio.get_running_loop().call_later(linger, transport.abort)
    await socket.close(code=ending.code, message=ending.reason.encode(), drain=False)


def _require_subprotocol(request: web.Request) -> None:
    """Raise :class:`BadRequest` unless the client offers our protocol in the first such header."""
    # aiohttp reads only the first header. Where that has no protocol that it knows, it logs what
    # was offered, and a token may be among it.
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    if SUBPROTOCOL not in map(str.strip, offered):
        raise BadRequest(
            f"The client does not offer the subprotocol {SUBPROTOCOL}.",
            hint=f"Send Sec-WebSocket-Protocol: {SUBPROTOCOL}, and the token after a comma.",
        )
