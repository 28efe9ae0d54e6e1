"""One WebSocket from its first frame to its last: who it is, what it asks for, why it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import msgspec
import structlog
from aiohttp import WSMsgType, web

from daemon.auth import Identity
from daemon.auth.refusals import Unauthorized
from daemon.errors import BadRequest, LeadMasterError
from daemon.http.auth import auth_of, sign_in_late
from daemon.http.house import House
from daemon.http.ws import endings, frames
from daemon.http.ws.interest import SubscriptionRequest
from daemon.http.ws.limits import MISTAKES
from daemon.http.ws.listener import Listener
from daemon.http.ws.messages import SignIn, Subscribe, message_of
from daemon.http.ws.room import Room
from daemon.http.ws.stream import Stream
from storage.errors import StorageError

log = structlog.get_logger("stream")

_GONE: Final = {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR}


class WebSocketConnection:
    """A connected client: one task reads, one writes, and :meth:`live` waits for an end.

    `identity` is None for a client that has yet to sign in.
    """

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        listener: Listener,
        room: Room,
        house: House,
        identity: Identity | None,
    ) -> None:
        self._request = request
        self._socket = socket
        self._listener = listener
        self._room = room
        self._house = house
        self._identity = identity
        self._stream: Stream | None = None

    async def live(self, wanted: SubscriptionRequest) -> endings.Ending:
        """Serve until the client or the daemon ends it; return why."""
        reading = asyncio.create_task(self._minding(self._read(wanted)))
        writing = asyncio.create_task(self._minding(self._listener.write()))
        try:
            ended, wait = self._listener.ended, self._room.limits.recheck
            while not (await asyncio.wait({ended}, timeout=wait))[0]:
                await self._minding(self._look_again())
            return ended.result()
        finally:
            reading.cancel()
            writing.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            if self._stream is not None:
                self._stream.close()

    async def _minding(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the work; whatever goes wrong there ends the connection, and only this."""
        try:
            await work
        except LeadMasterError as error:
            self._listener.offer(frames.refusal(error))
            self._listener.end(endings.refused(error))
        except ConnectionError:
            self._listener.end(endings.LEFT)
        except StorageError as error:
            log.warning("stream_interrupted", error=type(error).__name__)
            self._listener.end(endings.RESTARTING)
        except Exception:
            log.exception("stream_failed")
            self._listener.end(endings.FAILED)

    async def _read(self, wanted: SubscriptionRequest) -> None:
        """Let the client in, and do what it asks for until it goes."""
        if self._identity is None:
            with self._room.doorstep(self._listener):
                wanted, self._identity = await self._sign_in(wanted)
        with self._room.seat(self._listener):
            await self._serve(self._identity, wanted)

    async def _sign_in(self, wanted: SubscriptionRequest) -> tuple[SubscriptionRequest, Identity]:
        """Take the first message; what it says goes before what the address said."""
        seconds = self._room.limits.sign_in
        try:
            async with asyncio.timeout(seconds):
                said = await self._receive()
        except TimeoutError as error:
            raise Unauthorized(f"No sign_in came within {seconds:g} s.") from error
        message = message_of(said)
        if not isinstance(message, SignIn):
            raise Unauthorized("Nobody has signed in here: the first message must be sign_in.")
        identity = await sign_in_late(self._request, message.token)
        named = {name: getattr(message, name) for name in SubscriptionRequest.__struct_fields__}
        given = {name: value for name, value in named.items() if value is not None}
        return msgspec.structs.replace(wanted, **given), identity

    async def _serve(self, identity: Identity, wanted: SubscriptionRequest) -> None:
        """Begin the stream, and change it as the client asks; answer what can't be understood."""
        hub = await self._room.hub(self._house)
        stream = Stream(self._house, hub, self._listener, identity.scopes)
        self._stream = stream
        stream.begin(wanted)
        for _ in range(MISTAKES + 1):
            try:
                while True:
                    await stream.change(_subscribe(await self._receive()))
            except LeadMasterError as error:
                self._listener.offer(frames.refusal(error))
        self._listener.end(endings.TOO_MANY_MISTAKES)

    async def _receive(self) -> object:
        """Return the client's next message; raise ConnectionResetError where it has gone."""
        said = await self._socket.receive()
        if said.type in _GONE:
            raise ConnectionResetError
        return said.data

    async def _look_again(self) -> None:
        """End a connection that the library closed, and one whose rights are not what they were."""
        if self._socket.closed:
            raise ConnectionResetError
        if self._identity is not None:
            now = await auth_of(self._request).recheck(self._identity)
            if now.scopes != self._identity.scopes:
                self._listener.end(endings.RIGHTS_CHANGED)


def _subscribe(said: object) -> Subscribe:
    message = message_of(said)
    if isinstance(message, SignIn):
        raise BadRequest("You have signed in already.", hint="Connect anew to be somebody else.")
    return message
