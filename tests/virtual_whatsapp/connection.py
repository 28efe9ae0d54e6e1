"""One connection of a client: the handshake, and its nodes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import WSMsgType, web

from tests.virtual_whatsapp.binary_node import (
    SERVER_JID,
    Attributes,
    Node,
    decode_node,
    encode_node,
)
from tests.virtual_whatsapp.keys import KeyPair
from tests.virtual_whatsapp.noise import FrameBuffer, NoiseResponder, frame
from tests.virtual_whatsapp.phone import LinkedDevice
from tests.virtual_whatsapp.protobufs import ClientPayload
from tests.virtual_whatsapp.token_table import TokenTable

_CLOSE_SECONDS = 0.5


class ClientConnection:
    """A client behind a websocket. ``device`` is known once it has logged in."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._buffer = FrameBuffer()
        self._frames: list[bytes] = []
        self._requests = 0
        self.noise_key = b""
        self.payload: Any = None
        self.device: LinkedDevice | None = None
        self.silent = False

    async def shake_hands(self, static: KeyPair, chain: bytes) -> None:
        """Do the handshake; the client's payload is known afterwards."""
        noise = NoiseResponder(static, chain)
        hello = await self._receive_frame()
        await self._socket.send_bytes(frame(noise.answer_hello(hello)))
        finish = await self._receive_frame()
        self.noise_key, payload, self._receiving, self._sending = noise.finish(finish)
        self.payload = ClientPayload.FromString(payload)

    async def send(self, node: Node) -> None:
        """Send a node; one to a client that has gone is lost."""
        if self.silent:
            return
        try:
            await self._socket.send_bytes(frame(self._sending.encrypt(encode_node(node))))
        except ConnectionError:
            return

    async def receive(self, tokens: TokenTable) -> Node:
        """Return the next node; raise :class:`ConnectionResetError` where the client has gone."""
        return decode_node(self._receiving.decrypt(await self._receive_frame()), tokens)

    async def answer(self, request: Node, *content: Node) -> None:
        """Answer an `iq`."""
        attributes: Attributes = {"from": SERVER_JID, "type": "result", "id": request.text("id")}
        await self.send(Node("iq", attributes, content or None))

    def create_request_id(self) -> str:
        """Return an id for a request of ours."""
        self._requests += 1
        return f"s.{self._requests}"

    def cut(self) -> None:
        """Break the connection off, in the middle of whatever is said."""
        if (transport := self._request.transport) is not None:
            transport.abort()

    async def wait_until_closed(self) -> None:
        """Let the client close: one that is closed on may not have read what was sent last."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.receive()
        await self._socket.close()

    async def _receive_frame(self) -> bytes:
        while not self._frames:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                raise ConnectionResetError("the client has gone")
            self._frames += self._buffer.feed(message.data)
        return self._frames.pop(0)
