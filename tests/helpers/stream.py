"""The status stream behind a door of the test's own, on port 0, over a whole house."""

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
from aiohttp import web

from daemon.app import House
from daemon.auth import ALL_SCOPES, Auth, Identity, Role, Scope, SignInMethod
from daemon.auth.passwords import Passwords
from daemon.events import Event, SendingHalted
from daemon.http import auth as door_auth
from daemon.http import events
from daemon.http.problems import problems
from daemon.http.vitals import VITALS, Vitals
from daemon.http.ws import Limits, open_stream
from daemon.http.ws.door import ROOM
from daemon.http.ws.room import Room
from daemon.settings import PluginSettings
from tests.helpers.auth import FAST
from tests.helpers.doors import settings_for
from tests.helpers.raw_socket import RawSocket, raw_socket

OWNER = Identity("root", "", ALL_SCOPES, SignInMethod.CONTROL)
PATIENCE = 20.0
Frame = dict[str, Any]


class Ear:
    """A client of the stream that a test holds in its hands."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self) -> Frame:
        """Return the next frame; fail where the connection ends instead."""
        said = await asyncio.wait_for(self.socket.receive(), PATIENCE)
        assert said.type is aiohttp.WSMsgType.TEXT, (said, self.socket.close_code)
        frame: Frame = json.loads(said.data)
        return frame

    async def until(self, kind: str) -> list[Frame]:
        """Return the frames up to one of this kind, that one last."""
        found = [await self.next()]
        while found[-1]["frame"] != kind:
            found.append(await self.next())
        return found

    async def events(self, count: int) -> list[Frame]:
        """Return the next so many events; other frames in between are dropped."""
        found: list[Frame] = []
        while len(found) < count:
            frame = await self.next()
            found += [frame] if frame["frame"] == "event" else []
        return found

    async def say(self, frame: str, **fields: object) -> None:
        """Send a message."""
        await self.socket.send_json({"frame": frame, **fields})

    async def end(self) -> tuple[int | None, list[Frame]]:
        """Return the close code that comes, and the frames before it."""
        async with asyncio.timeout(PATIENCE):
            frames: list[Frame] = [json.loads(said.data) async for said in self.socket]
        return self.socket.close_code, frames


@dataclass(slots=True)
class StreamHouse:
    """The house, its auth room, and the address of the stream."""

    house: House
    auth: Auth
    base: str
    session: aiohttp.ClientSession
    runner: web.AppRunner
    room: Room

    async def token(self, *scopes: Scope) -> str:
        """Return a token with these scopes, with all where none is named."""
        made = await self.auth.tokens.make(
            OWNER, "ana", "crm", scopes or tuple(ALL_SCOPES), timedelta(hours=1)
        )
        return made.token

    @contextlib.asynccontextmanager
    async def connected(self, token: str = "", query: str = "") -> AsyncIterator[Ear]:
        """Connect with a token in the subprotocols, with none where it is empty."""
        protocols = ["leadmaster.v1", *([f"leadmaster.token.{token}"] if token else [])]
        async with self.session.ws_connect(
            f"{self.base}/v1/events{query}", protocols=protocols, autoping=True
        ) as socket:
            yield Ear(socket)

    @contextlib.asynccontextmanager
    async def listening(self, token: str, query: str = "") -> AsyncIterator[Ear]:
        """Connect and return once the stream is live."""
        async with self.connected(token, query) as ear:
            await ear.until("subscribed")
            yield ear

    @contextlib.asynccontextmanager
    async def deaf(self, token: str) -> AsyncIterator[RawSocket]:
        """Connect, wait until the stream is live, and then read nothing unless told to."""
        offer = f"Sec-WebSocket-Protocol: leadmaster.v1, leadmaster.token.{token}"
        async with raw_socket(f"{self.base}/v1/events", [offer]) as line:
            await line.until("subscribed")
            yield line

    async def emptied(self) -> None:
        """Return once nobody is connected any more."""
        async with asyncio.timeout(PATIENCE):
            while self.room.connected:  # noqa: ASYNC110 - the room tells nobody
                await asyncio.sleep(0.01)

    async def happen(self, count: int = 1, start: int = 0) -> None:
        """Let so many events be committed together."""
        await self.emit(*(self.halted(f"r{start + index}") for index in range(count)))

    def halted(self, reason: str) -> SendingHalted:
        """Return an event that anybody may hear."""
        at = self.house.clock.now()
        return SendingHalted(subject="installation", at=at, who="ana", reason=reason)

    async def emit(self, *happened: Event) -> None:
        """Store events in one transaction, and so publish them."""
        await self.house.database.write(lambda tx: [tx.emit(event) for event in happened])


@contextlib.asynccontextmanager
async def stream_house(folder: Path, limits: Limits | None = None) -> AsyncIterator[StreamHouse]:
    """Open a house in `folder` and a door to its stream."""
    # On a busy machine a plugin that is slow would be an event that no test expects.
    settings = msgspec.structs.replace(
        settings_for(folder), plugins=PluginSettings(limit_seconds=60)
    )
    async with contextlib.AsyncExitStack() as stack:
        house = await stack.enter_async_context(House.open(settings))
        auth = await Auth.open(
            house.database, house.clock, settings, environ={}, passwords=Passwords(FAST)
        )
        await auth.users.create("ana", Role.ADMIN, "root", password="correct horse battery")
        runner = await stack.enter_async_context(_door(house, auth, limits))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        )
        base = "http://{}:{}".format(*runner.addresses[0][:2])
        yield StreamHouse(house, auth, base, session, runner, _room_of(runner))


@contextlib.asynccontextmanager
async def _door(house: House, auth: Auth, limits: Limits | None) -> AsyncIterator[web.AppRunner]:
    application = web.Application(middlewares=[problems, door_auth.authenticated])
    application[VITALS] = Vitals(lambda: 0.0, house)
    door_auth.open_to(application, lambda: auth)
    open_stream(application, limits)
    application.add_routes([*events.routes, *door_auth.routes])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner
    finally:
        await runner.cleanup()


def _room_of(runner: web.AppRunner) -> Room:
    return runner.app[ROOM]


def seqs(frames: list[Frame]) -> list[int]:
    """Return the places of events in the log."""
    return [frame["seq"] for frame in frames]
