"""The stream: connects, listens, and connects again from where it was, until it is closed."""

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
    """Waits between `first` and `most` seconds, doubling; each is cut by chance, to half at most.

    One belongs to one stream.
    """

    first: float = 0.5
    most: float = 30.0
    rng: Random = field(default_factory=Random)
    failures: int = 0

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        # The exponent is capped: after days of failures the power alone would be a huge number.
        whole = min(self.most, math.ldexp(self.first, min(self.failures, 32)))
        self.failures += 1
        return whole * self.rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with short waits again."""
        self.failures = 0


PROTOCOL: Final = "leadmaster.v1"
HEARTBEAT_SECONDS: Final = 30.0
_CLIENTS_FAULT: Final = range(400, 500)
_POLICY: Final = aiohttp.WSCloseCode.POLICY_VIOLATION

Token = str | Callable[[], Awaitable[str]]
News = Snapshot | Event


class EventStream:
    """What happens in a daemon, in order and without holes: ``async for news in stream``.

    It begins with a :class:`Snapshot`, unless `place` says what was heard before. Hang-ups and
    restarts are bridged; where the daemon can't tell what was missed, another snapshot comes,
    which says why. :class:`Refused` is raised where no further attempt would help.
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
        """`url` is the daemon's, such as ``https://leads.example``; `token` may be a coroutine.

        `http` is yours to close: pass one for a unix socket, a proxy or certificates.
        """
        self.place = place
        """What was heard and is done with: pass it to the next stream to go on from there."""
        self.connects = 0
        """How often a connection came to be."""
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
        """Make ready; the connection is made with the first step of the iteration."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    def __aiter__(self) -> Self:
        """Iterate; leaving the loop and coming back goes on where it was."""
        return self

    async def __anext__(self) -> News:
        """Return what comes next, however often the connection has to be made anew for it."""
        self._settle()
        while not self._closed.is_set():
            try:
                socket = self._socket or await self._connect()
                if (news := self._taken(await socket.receive())) is not None:
                    return news
            except (aiohttp.ClientError, OSError, TimeoutError):
                await self._pause()
        raise StopAsyncIteration

    async def close(self) -> None:
        """Say goodbye; an iteration under way ends."""
        self._closed.set()
        self._settle()
        if self._socket is not None:
            await self._socket.close()
        await self._opened.aclose()

    async def subscribe(
        self, *, topics: Sequence[str] | None = None, sessions: Sequence[str] | None = None
    ) -> None:
        """Hear only this from now on, and after every reconnect; None: all that the token may.

        Whoever hears more than before gets a fresh snapshot.
        """
        self._topics, self._sessions = topics, sessions
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_json(
                {"frame": "subscribe", "topics": topics, "sessions": sessions}
            )

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        """Connect, ask for what follows :attr:`place`, and say who we are."""
        if self._http is None:
            self._http = await self._opened.enter_async_context(aiohttp.ClientSession())
        token = await self._token() if callable(self._token) else self._token
        try:
            socket = await self._http.ws_connect(
                self._url,
                params=self._wanted(),
                protocols=(PROTOCOL,),
                heartbeat=HEARTBEAT_SECONDS,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in _CLIENTS_FAULT:
                raise Refused(f"http_{error.status}", error.message) from error
            raise
        self._socket = socket
        self.connects += 1
        if token:
            await socket.send_json({"frame": "sign_in", "token": token})
        return socket

    def _wanted(self) -> dict[str, str]:
        wanted: dict[str, str] = {}
        if self._topics is not None:
            wanted["topics"] = ",".join(self._topics)
        if self._sessions is not None:
            wanted["sessions"] = ",".join(self._sessions)
        if self.place is not None:
            wanted |= {"after": str(self.place.seq), "epoch": str(self.place.epoch)}
        return wanted

    def _taken(self, message: aiohttp.WSMessage) -> News | None:
        """Return the news in a message, if it brings any.

        Raises :class:`Refused` for good, ConnectionResetError where the connection has ended.
        """
        if message.type is aiohttp.WSMsgType.TEXT:
            return self._told(frame_of(message.data), message.data)
        code = self._socket.close_code if self._socket is not None else None
        if code == _POLICY:
            raise self._refused or Refused("policy_violation", "The daemon closed the stream.")
        raise ConnectionResetError

    def _told(self, frame: Frame, said: str) -> News | None:
        match frame.frame:
            case "hello":
                self._epoch = frame.epoch or 0
            case "error":
                self._refused = Refused(frame.code, frame.sentence, frame.hint)
            case "resync_required":
                self._because = frame.reason_code
            case "snapshot":
                taken, self._because = snapshot_of(said, self._because), None
                self._handed = Place(taken.epoch, taken.seq)
                return taken
            case "event":
                self._handed = Place(self._epoch, frame.seq or 0)
                return event_of(frame)
            case "qr":
                return event_of(frame)
            case "subscribed" | "through":
                self.place = Place(self._epoch, frame.through_seq or 0)
                self._backoff.reset()
        return None

    def _settle(self) -> None:
        """Note that what was handed out last is done with."""
        if self._handed is not None:
            self.place, self._handed = self._handed, None

    async def _pause(self) -> None:
        """Wait a while after a hang-up, or until closed."""
        self._socket = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next()):
                await self._closed.wait()
