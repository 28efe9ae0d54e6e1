"""The stream behind the daemon's own doors, as `leadmaster run` opens them."""

from __future__ import annotations

from pathlib import Path

from leadmaster_client import EventStream, Snapshot
from leadmaster_client.events import SendingHalted
from tests.helpers.client.http import build_settings, open_http_server
from tests.helpers.client.websocket import StreamClient


async def test_the_control_socket_streams_to_its_owner(short_folder: Path) -> None:
    """No token is needed there, and nothing is hidden; the Python client can use it too."""
    async with open_http_server(build_settings(short_folder)) as opened:
        http = opened.control.session
        async with EventStream("http://leadmaster", http=http) as client:
            assert isinstance(await anext(client), Snapshot)
            await opened.services.halt.halt("ana", "a storm")
            assert isinstance(await anext(client), SendingHalted)


async def test_the_public_door_wants_a_token(short_folder: Path) -> None:
    """A socket that nobody signed in on is greeted only after its first message."""
    async with open_http_server(build_settings(short_folder)) as opened:
        url = f"{opened.public.base}/v1/events"
        async with opened.public.session.ws_connect(url, protocols=["leadmaster.v1"]) as socket:
            ear = StreamClient(socket)
            await ear.send_frame("sign_in", token="nonsense")
            assert (await ear.read_close())[0] == 1008
