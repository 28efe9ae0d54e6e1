"""Limits the connections of a server, and answers what its library can't read as a request."""

from __future__ import annotations

import asyncio
import resource
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from msgspec import Struct

from daemon.errors import (
    LeadMasterError,
    RequestHeadTooLarge,
    RequestTooSlow,
    RequestUnreadable,
    Unavailable,
)
from daemon.http.problems import (
    PROBLEM_JSON,
    REQUEST_ID_HEADER,
    build_problem_response,
    problem_from_error,
)

log = structlog.get_logger("http")

_FULL_RESERVE_FROM: Final = 256
"""Where a process may have fewer descriptors than this, a reserve is smaller in proportion."""
ACCEPTED_AT_ONCE: Final = 4
"""How many connections one turn of the event loop accepts; it takes four to end another one."""

_LEAST_RESERVE: Final = 6 * ACCEPTED_AT_ONCE
_OWN_DESCRIPTORS: Final = Path("/proc/self/fd")
_COUNT_SECONDS: Final = 1.0


class ConnectionLimits(Struct, frozen=True):
    """The limits of one server's connections; times are seconds."""

    connections: int
    """How many may be open; one more ends the one that has waited longest for a request."""
    reserved_descriptors: int
    """How many of the process's descriptors they leave to others."""
    head_seconds: float = 10.0
    """Until the head of a request has arrived as a whole."""
    idle_seconds: float = 75.0
    """How long a connection is kept for its next request; a proxy keeps it for 60 s."""
    unread_seconds: float = 60.0
    """How long a client may take nothing of what was written to it."""


PUBLIC_LIMITS: Final = ConnectionLimits(connections=1500, reserved_descriptors=128)
"""The event stream alone may have 1,100 clients."""
CONTROL_LIMITS: Final = ConnectionLimits(connections=64, reserved_descriptors=48)
"""What the public server leaves free is for these, so that a halt can always be requested."""


class LimitedConnection(web.RequestHandler):
    """A connection of a server: it waits for a request, or answers one.

    The head of a request must arrive in time, from the opening of the connection or from the first
    byte of a later request.
    """

    __slots__ = ("_body", "_has_answered", "_head_timer", "_is_answering", "_limiter")

    def __init__(self, server: web.Server, limiter: ConnectionLimiter) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limiter.limits.idle_seconds,
            access_log=None,  # type: ignore[arg-type]  # addresses may contain phone numbers
            auto_decompress=False,  # it would unpack before anybody counts; see limit_body()
        )
        self._limiter = limiter
        self._head_timer: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None
        self._has_answered = False
        self._is_answering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request; refuse the connection where there is no room."""
        if not self._limiter.admit(self):
            self.close()  # what has arrived meanwhile is not read
            _write_problem(transport, Unavailable("Too many connections are open."))
            transport.close()
            return
        super().connection_made(transport)
        self._limit_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop counting the connection."""
        self._limiter.forget(self)
        self._cancel_head_limit()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Limit the time of a request whose first bytes these are."""
        super().data_received(data)
        # What comes while a request is being answered is its body, or belongs to the next one,
        # whose time begins with the end of this answer.
        if not self._is_answering:
            self._limit_head()
        # Only an error can follow a body that is not complete; its reader would wait for the rest.
        if self._messages and self._body is not None and not self._body.is_eof():
            self._body.set_exception(web.RequestPayloadError("The body is malformed."))
            self._body.feed_eof()  # nothing more of it is waited for

    def begin_answer(self, body: StreamReader) -> None:
        """Note that a whole head has arrived, and the request is about to be answered."""
        self._body, self._is_answering = body, True
        self._cancel_head_limit()
        self._limiter.set_answering(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write the rest of an answer; then the connection waits for the next request."""
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._body, self._has_answered, self._is_answering = None, True, False
            self._limiter.set_waiting(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the library can't read, or failed at, with a problem document."""
        if request.writer.output_size > 0:  # half an answer can't become another one
            raise ConnectionError("An answer has begun already.")
        request_id = _new_request_id()
        response = build_problem_response(
            request_id, problem_from_error(_translate_error(status, exc, message), request_id)
        )
        response.headers[REQUEST_ID_HEADER] = request_id
        response.force_close()
        return response

    def end(self) -> None:
        """End a connection that waits for a request."""
        self.force_close()

    def _limit_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = asyncio.get_running_loop().call_later(
                self._limiter.limits.head_seconds, self._end_slow_request
            )

    def _cancel_head_limit(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow_request(self) -> None:
        self._head_timer = None
        # After an earlier answer, another one could be taken for a part of it.
        if self.transport is not None and not self._has_answered:
            seconds = self._limiter.limits.head_seconds
            error = RequestTooSlow(f"No whole request came within {seconds:g} s.")
            _write_problem(self.transport, error)
        self.force_close()


class ConnectionLimiter:
    """Makes the connections of one server, within its limits."""

    def __init__(self, server: web.Server, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._server = server
        self._open: set[LimitedConnection] = set()
        self._waiting: dict[LimitedConnection, None] = {}
        """The connections that wait for a request, longest first."""
        self._others, self._count_due = 0, 0.0
        self._build_request = server.request_factory
        server.request_factory = self._begin_request

    def __call__(self) -> LimitedConnection:
        """Return the protocol of a new connection."""
        connection = LimitedConnection(self._server, self)
        self._open.add(connection)
        return connection

    def admit(self, connection: LimitedConnection) -> bool:
        """Return False where there is no room for a connection, and none to end in its place."""
        if self._is_full():
            longest = next(iter(self._waiting), None)
            if longest is None:
                log.warning("connection_refused", error="too many connections are open")
                return False
            del self._waiting[longest]
            longest.end()
        self._waiting[connection] = None
        return True

    def forget(self, connection: LimitedConnection) -> None:
        """Stop counting a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def set_answering(self, connection: LimitedConnection) -> None:
        """Keep a connection while its request is answered."""
        self._waiting.pop(connection, None)

    def set_waiting(self, connection: LimitedConnection) -> None:
        """Put a connection behind all others that wait for a request."""
        if connection in self._open:
            self._waiting[connection] = None

    def _is_full(self) -> bool:
        if len(self._open) > self.limits.connections:
            return True
        # Asked each time, for it can be changed while the daemon runs.
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most == resource.RLIM_INFINITY:
            return False
        wanted = self.limits.reserved_descriptors
        reserved = max(_LEAST_RESERVE, min(wanted, most * wanted // _FULL_RESERVE_FROM))
        try:
            return self._count_descriptors() > most - reserved
        except OSError:  # to count them takes one, and this connection has the last
            return True

    def _count_descriptors(self) -> int:
        """Return about how many descriptors the process has open."""
        # The others are counted once a second: a flood of connections must not cost a count each.
        now = asyncio.get_running_loop().time()
        if now >= self._count_due:
            self._count_due = now + _COUNT_SECONDS
            self._others = sum(1 for _ in _OWN_DESCRIPTORS.iterdir()) - len(self._open)
        return self._others + len(self._open)

    def _begin_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if isinstance(protocol, LimitedConnection):
            protocol.begin_answer(payload)
        return self._build_request(message, payload, protocol, writer, task)


def _translate_error(status: int, error: BaseException | None, message: str | None) -> Exception:
    """Return the library's error as one of ours, without a quotation of what was sent."""
    if status == web.HTTPInternalServerError.status_code:
        return error if isinstance(error, Exception) else RuntimeError(message)
    # Anybody can send such a request, and what the library quotes may be a token or a body.
    log.warning("request_unreadable", error=type(error).__name__)
    if isinstance(error, LineTooLong):
        return RequestHeadTooLarge("A line of the request is too long.")
    if message == "Too many headers received":
        return RequestHeadTooLarge("The request has too many headers.")
    return RequestUnreadable("What was sent can't be read as a request.")


def _write_problem(transport: asyncio.BaseTransport, error: LeadMasterError) -> None:
    """Write a whole answer to a connection on which no request was read."""
    if not isinstance(transport, asyncio.WriteTransport):
        return
    request_id = _new_request_id()
    content = msgspec.json.encode({**error.to_problem(), "request_id": request_id})
    headers: Mapping[str, str] = {
        "Content-Type": PROBLEM_JSON,
        "Content-Length": str(len(content)),
        REQUEST_ID_HEADER: request_id,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {error.status} {error.code}", *(f"{k}: {v}" for k, v in headers.items())]
    transport.write("\r\n".join([*lines, "", ""]).encode() + content)


def _new_request_id() -> str:
    return f"req_{secrets.token_hex(8)}"
