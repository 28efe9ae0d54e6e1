"""The event stream: connects, reads, and reconnects from its last position, until closed."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Final, Self

import aiohttp

from leadmaster_client.events import Event
from leadmaster_client.frames import (
    Frame,
    Place,
    Refused,
    Snapshot,
    event_of,
    frame_of,
    snapshot_of,
)


@dataclass(slots=True)
class Backoff:
    """Computes waits that double from `first` to `most` seconds, each between half and all of that.

    It keeps a count, so that each stream needs its own.
    """

    first: float = 0.5
    most: float = 30.0
    rng: Random = field(default_factory=Random)
    failures: int = 0

    def next(self) -> float:
        """Count a failure; return the seconds to wait."""
        # The exponent is bounded: after days of failures the power would overflow.
        whole = min(self.most, math.ldexp(self.first, min(self.failures, 32)))
        self.failures += 1
        # At random, so that the clients of a daemon that restarts do not all come at once.
        return whole * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start with the shortest wait again."""
        self.failures = 0


PROTOCOL: Final = "leadmaster.v1"
HEARTBEAT_SECONDS: Final = 30.0
_CLIENTS_FAULT: Final = range(400, 500)
_POLICY: Final = aiohttp.WSCloseCode.POLICY_VIOLATION

Token = str | Callable[[], Awaitable[str]]
News = Snapshot | Event


class EventStream:
    """The events of a daemon, in order and without gaps: ``async for news in stream``.

    It begins with a :class:`Snapshot`, unless `place` is given. After a lost connection or a
    restart it resumes; where the daemon can't send what was missed, another snapshot comes, which
    says why. :class:`Refused` is raised where no further attempt would help.
    """

    def __init__(
        self,
        url: str,
        token: Token = "",
        *,
        topics: Sequence[str] | None = None,
        sessions: Sequence[str] | None = None,
        place: Place | None = None,
        backoff: Backoff | None = None,
        http: aiohttp.ClientSession | None = None,
    ) -> None:
        """`url` is the daemon's, like ``https://leads.example``; `token` may be an async function.

        Pass `http` for a unix socket, a proxy or certificates; the caller closes it.
        """
        self.place = place
        """The position up to which everything was handled; pass it to another stream to resume."""
        self.connects = 0
        """How many connections were made."""
        self._url = url.rstrip("/") + "/v1/events"
        self._token = token
        self._topics = topics
        self._sessions = sessions
        self._backoff = backoff or Backoff()
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._closed = asyncio.Event()
        self._opened = contextlib.AsyncExitStack()
        self._epoch = 0
        self._handed: Place | None = None
        self._because: str | None = None
        self._refused: Refused | None = None

    async def __aenter__(self) -> Self:
        """Return the stream; it connects at the first step of the iteration."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the stream."""
        await self.close()

    def __aiter__(self) -> Self:
        """Return the stream itself; a later loop continues where an earlier one was left."""
        return self

    async def __anext__(self) -> News:
        """Return the next event or snapshot, reconnecting as often as needed."""
        # Asking for the next one means that the last one was handled.
        self._settle()
        while not self._closed.is_set():
            try:
                socket = self._socket or await self._connect()
                if (news := self._read_message(await socket.receive())) is not None:
                    return news
            except (aiohttp.ClientError, OSError, TimeoutError):
                await self._pause()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Close the connection; an iteration under way ends."""
        self._closed.set()
        self._settle()
        if self._socket is not None:
            await self._socket.close()
        await self._opened.aclose()

    async def subscribe(
        self, *, topics: Sequence[str] | None = None, sessions: Sequence[str] | None = None
    ) -> None:
        """Change the filter, also for later reconnects; None: all that the token may read.

        A wider filter than before brings a new snapshot.
        """
        self._topics, self._sessions = topics, sessions
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_json(
                {"frame": "subscribe", "topics": topics, "sessions": sessions}
            )

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Connect after :attr:`place`, and sign in."""
        if self._http is None:
            self._http = await self._opened.enter_async_context(aiohttp.ClientSession())
        # Asked for at each connection: the last token may have expired meanwhile.
        token = await self._token() if callable(self._token) else self._token
        try:
            socket = await self._http.ws_connect(
                self._url,
                params=self._build_query(),
                protocols=(PROTOCOL,),
                heartbeat=HEARTBEAT_SECONDS,
            )
        except aiohttp.WSServerHandshakeError as error:
            # Before the stream begins, the daemon answers errors by HTTP; these would be the same
            # again.
            if error.status in _CLIENTS_FAULT:
                raise Refused(f"http_{error.status}", error.message) from error
            raise
        self._socket = socket
        self.connects += 1
        # In a message and not in the address, which servers and proxies log.
        if token:
            await socket.send_json({"frame": "sign_in", "token": token})
        return socket

    def _build_query(self) -> dict[str, str]:
        query: dict[str, str] = {}
        if self._topics is not None:
            query["topics"] = ",".join(self._topics)
        if self._sessions is not None:
            query["sessions"] = ",".join(self._sessions)
        if self.place is not None:
            query |= {"after": str(self.place.seq), "epoch": str(self.place.epoch)}
        return query

    def _read_message(self, message: aiohttp.WSMessage) -> News | None:
        """Return the event or snapshot in a message, or None.

        Raises :class:`Refused` for a final refusal, ConnectionResetError for a closed connection.
        """
        if message.type is aiohttp.WSMsgType.TEXT:
            return self._apply_frame(frame_of(message.data), message.data)
        code = self._socket.close_code if self._socket is not None else None
        if code == _POLICY:
            raise self._refused or Refused("policy_violation", "The daemon closed the stream.")
        raise ConnectionResetError

    def _apply_frame(self, frame: Frame, text: str) -> News | None:
        match frame.frame:
            case "hello":
                self._epoch = frame.epoch or 0
            case "error":
                self._refused = Refused(frame.code, frame.sentence, frame.hint)
            case "resync_required":
                self._because = frame.reason_code
            case "snapshot":
                taken, self._because = snapshot_of(text, self._because), None
                self._handed = Place(taken.epoch, taken.seq)
                return taken
            case "event":
                self._handed = Place(self._epoch, frame.seq or 0)
                return event_of(frame)
            case "qr":
                return event_of(frame)
            # Only now and not at the handshake: a daemon that closes every connection at once must
            # not be asked in a tight loop.
            case "subscribed" | "through":
                self.place = Place(self._epoch, frame.through_seq or 0)
                self._backoff.reset()
        return None

    def _settle(self) -> None:
        """Advance :attr:`place` to what was returned last."""
        if self._handed is not None:
            self.place, self._handed = self._handed, None

    async def _pause(self) -> None:
        """Wait before the next attempt, or until closed."""
        self._socket = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next()):
                await self._closed.wait()
