"""Connections of a disabled user or a revoked token end at once, and not at the next look."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from daemon.auth import ALL_SCOPES, Role
from daemon.http.websocket import StreamLimits
from tests.helpers.client.auth import CONTROL_IDENTITY
from tests.helpers.client.http import HttpServer, build_settings, open_http_server

pytestmark = pytest.mark.slow

EARLIER_THAN_THE_NEXT_LOOK = StreamLimits().recheck - 10


@dataclass(frozen=True, slots=True)
class Caller:
    """A user's token, and the server that it is for."""

    server: HttpServer
    token_id: str
    headers: dict[str, str]

    def open_socket(
        self,
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open the event stream as a WebSocket."""
        public = self.server.public
        return public.session.ws_connect(
            f"{public.base}/v1/events", headers=self.headers, protocols=("leadmaster.v1",)
        )

    def open_lines(
        self, path: str
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open a stream of lines."""
        return self.server.public.session.get(self.server.public.base + path, headers=self.headers)


@pytest.fixture
async def caller(short_folder: Path) -> AsyncIterator[Caller]:
    """Return an operator of an open daemon, who is not its only administrator."""
    async with open_http_server(build_settings(short_folder)) as server:
        auth = server.services.auth
        for name in ("ana", "root"):
            await auth.users.create_user(name, Role.ADMIN, "test")
        made = await auth.tokens.issue_token(
            CONTROL_IDENTITY, "ana", "crm", ALL_SCOPES, timedelta(hours=1)
        )
        yield Caller(server, made.record.id, {"Authorization": f"Bearer {made.token}"})


async def disable_user(caller: Caller) -> None:
    """Disable the user."""
    assert (await caller.server.control.post("/v1/users/ana/disable")).status == 200


async def revoke_token(caller: Caller) -> None:
    """Revoke the token."""
    path = f"/v1/tokens/{caller.token_id}"
    assert (await caller.server.control.call("DELETE", path)).status == 200


ENDS = pytest.mark.parametrize("end_access", [disable_user, revoke_token])
EndAccess = Callable[[Caller], Awaitable[None]]


@ENDS
async def test_a_socket_ends_with_its_access(caller: Caller, end_access: EndAccess) -> None:
    """It closes with 1008 and the error's code, which the page about the stream documents."""
    async with caller.open_socket() as socket:
        assert (await socket.receive_json())["frame"] == "hello"
        await end_access(caller)
        async with asyncio.timeout(EARLIER_THAN_THE_NEXT_LOOK):
            frames = [json.loads(message.data) async for message in socket]
    assert socket.close_code == 1008
    assert (frames[-1]["frame"], frames[-1]["code"]) == ("error", "token_revoked")


@ENDS
@pytest.mark.parametrize("path", ["/v1/events?after=0", "/v1/sessions/ventas/pairing"])
async def test_lines_end_with_their_access(
    caller: Caller, end_access: EndAccess, path: str
) -> None:
    """The connection is cut, so that no reader takes what it has for the whole."""
    await caller.server.control.post("/v1/sessions", name="ventas", channel="simulated")
    async with caller.open_lines(path) as answer:
        assert json.loads(await answer.content.readline())
        await end_access(caller)
        async with asyncio.timeout(EARLIER_THAN_THE_NEXT_LOOK):
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()


async def test_a_browser_that_signs_out_loses_its_socket(caller: Caller) -> None:
    """One browser of a user ends; the user's token goes on."""
    auth, public = caller.server.services.auth, caller.server.public
    link = await auth.sign_ins.create_link("ana", "test")
    signed_in = await public.post("/v1/sign-in/link", link=link.secret)
    headers = {"Origin": public.base, "X-CSRF-Token": signed_in.document["csrf"]}
    async with (
        public.session.ws_connect(
            f"{public.base}/v1/events",
            headers={"Origin": public.base, "Cookie": signed_in.cookie},
            protocols=("leadmaster.v1",),
        ) as socket,
        caller.open_socket() as other,
    ):
        await public.call("DELETE", "/v1/sign-in", headers={**headers, "Cookie": signed_in.cookie})
        async with asyncio.timeout(EARLIER_THAN_THE_NEXT_LOOK):
            _ = [message async for message in socket]
        assert socket.close_code == 1008
        await other.send_json({"frame": "subscribe"})
        assert not other.closed
