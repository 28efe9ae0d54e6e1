"""A server with the event stream, and a WebSocket client for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from daemon.auth import ALL_SCOPES, AuthService, Role, Scope
from daemon.auth.password_check import Passwords
from daemon.bootstrap import open_services
from daemon.events import DomainEvent, SendingHalted
from daemon.http import authentication as door_auth
from daemon.http import v1
from daemon.http.health import DAEMON_HEALTH, DaemonHealth
from daemon.http.problems import answer_errors_with_problems
from daemon.http.v1 import events
from daemon.http.websocket import StreamLimits, install_websocket
from daemon.http.websocket.handler import CLIENT_REGISTRY
from daemon.http.websocket.hub import ClientRegistry
from daemon.services import Services
from daemon.settings import PluginSettings
from tests.helpers.client.auth import CONTROL_IDENTITY, FAST_HASHER
from tests.helpers.client.http import build_settings, get_base_url, serve_application
from tests.helpers.client.raw_bytes import RawSocket, open_raw_socket

FRAME_TIMEOUT = 20.0
Frame = dict[str, Any]


class StreamClient:
    """A client of the event stream, driven by a test."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def read_frame(self) -> Frame:
        """Return the next frame; fail where the connection ends."""
        message = await asyncio.wait_for(self.socket.receive(), FRAME_TIMEOUT)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.socket.close_code)
        frame: Frame = json.loads(message.data)
        return frame

    async def read_until(self, kind: str) -> list[Frame]:
        """Return the frames up to one of this kind, that one last."""
        found = [await self.read_frame()]
        while found[-1]["frame"] != kind:
            found.append(await self.read_frame())
        return found

    async def read_events(self, count: int) -> list[Frame]:
        """Return the next so many events, without other frames."""
        found: list[Frame] = []
        while len(found) < count:
            frame = await self.read_frame()
            found += [frame] if frame["frame"] == "event" else []
        return found

    async def send_frame(self, frame: str, **fields: object) -> None:
        """Send a message."""
        await self.socket.send_json({"frame": frame, **fields})

    async def read_close(self) -> tuple[int | None, list[Frame]]:
        """Return the close code that comes, and the frames before it."""
        async with asyncio.timeout(FRAME_TIMEOUT):
            frames: list[Frame] = [json.loads(message.data) async for message in self.socket]
        return self.socket.close_code, frames


@dataclass(slots=True)
class StreamServer:
    """The services, the auth service, and the address of the stream."""

    services: Services
    auth: AuthService
    base: str
    session: aiohttp.ClientSession
    runner: web.AppRunner
    registry: ClientRegistry

    async def create_token(self, *scopes: Scope) -> str:
        """Return a token with these scopes, by default all."""
        made = await self.auth.tokens.issue_token(
            CONTROL_IDENTITY, "ana", "crm", scopes or tuple(ALL_SCOPES), timedelta(hours=1)
        )
        return made.token

    @contextlib.asynccontextmanager
    async def connect(self, token: str = "", query: str = "") -> AsyncIterator[StreamClient]:
        """Connect with a token in the subprotocols, or without one."""
        protocols = ["leadmaster.v1", *([f"leadmaster.token.{token}"] if token else [])]
        async with self.session.ws_connect(
            f"{self.base}/v1/events{query}", protocols=protocols, autoping=True
        ) as socket:
            yield StreamClient(socket)

    @contextlib.asynccontextmanager
    async def subscribe(self, token: str, query: str = "") -> AsyncIterator[StreamClient]:
        """Connect and return once the stream is live."""
        async with self.connect(token, query) as client:
            await client.read_until("subscribed")
            yield client

    @contextlib.asynccontextmanager
    async def connect_unread(self, token: str) -> AsyncIterator[RawSocket]:
        """Connect and wait until the stream is live; after that, only the test reads."""
        offer = f"Sec-WebSocket-Protocol: leadmaster.v1, leadmaster.token.{token}"
        async with open_raw_socket(f"{self.base}/v1/events", [offer]) as line:
            await line.read_until("subscribed")
            yield line

    async def wait_until_empty(self) -> None:
        """Return once no client is connected."""
        async with asyncio.timeout(FRAME_TIMEOUT):
            while self.registry.connected:  # noqa: ASYNC110 - the registry has no event
                await asyncio.sleep(0.01)

    async def commit_halts(self, count: int = 1, start: int = 0) -> None:
        """Commit so many events in one transaction."""
        await self.commit_events(
            *(self.build_halt_event(f"r{start + index}") for index in range(count))
        )

    def build_halt_event(self, reason: str) -> SendingHalted:
        """Return an event that every scope may read."""
        at = self.services.clock.now()
        return SendingHalted(subject="installation", at=at, who="ana", reason=reason)

    async def commit_events(self, *happened: DomainEvent) -> None:
        """Commit events in one transaction, which publishes them."""
        await self.services.database.write(lambda tx: [tx.emit(event) for event in happened])


@contextlib.asynccontextmanager
async def open_stream_server(
    folder: Path, limits: StreamLimits | None = None
) -> AsyncIterator[StreamServer]:
    """Open services in `folder` and a server with their event stream."""
    # On a busy machine a plugin may be late, and its failure would be an unexpected event.
    settings = msgspec.structs.replace(
        build_settings(folder), plugins=PluginSettings(limit_seconds=60)
    )
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_services(settings))
        auth = await AuthService.open(
            house.database, house.clock, settings, environ={}, passwords=Passwords(FAST_HASHER)
        )
        await auth.users.create_user("ana", Role.ADMIN, "root", password="correct horse battery")
        runner = await stack.enter_async_context(_serve_stream(house, auth, limits))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                # aiohttp's own limit of 100 connections would stop a test of the server's.
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        )
        base = get_base_url(runner)
        yield StreamServer(house, auth, base, session, runner, _get_registry(runner))


@contextlib.asynccontextmanager
async def _serve_stream(
    house: Services, auth: AuthService, limits: StreamLimits | None
) -> AsyncIterator[web.AppRunner]:
    application = web.Application(middlewares=[answer_errors_with_problems, door_auth.authenticate])
    application[DAEMON_HEALTH] = DaemonHealth(lambda: 0.0, house)
    door_auth.install_authentication(application, lambda: auth)
    install_websocket(application, limits)
    application.add_routes([*events.routes, *v1.ACCOUNT_ROUTES])
    async with serve_application(application, shutdown_seconds=1) as runner:
        yield runner


def _get_registry(runner: web.AppRunner) -> ClientRegistry:
    return runner.app[CLIENT_REGISTRY]


def sequence_numbers(frames: list[Frame]) -> list[int]:
    """Return the sequence numbers of events."""
    return [frame["seq"] for frame in frames]


@pytest.fixture
async def stream(short_folder: Path) -> AsyncIterator[StreamServer]:
    """Open a stream server with the usual limits."""
    async with open_stream_server(short_folder) as opened:
        yield opened


@pytest.fixture
async def token(stream: StreamServer) -> str:
    """Return a token with all scopes."""
    return await stream.create_token()
