"""Who gets in to the stream and by which way, who does not, and how every connection ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from daemon.auth import Role, Scope
from daemon.http.health import DAEMON_HEALTH
from daemon.http.websocket import StreamLimits
from tests.helpers.client.raw_bytes import CLOSE, PING, mask_frame, open_raw_socket
from tests.helpers.client.websocket import (
    StreamClient,
    StreamServer,
    open_stream_server,
    sequence_numbers,
)

OFFER = "Sec-WebSocket-Protocol: "


@pytest.fixture
async def quick(short_folder: Path) -> AsyncIterator[StreamServer]:
    """Open a stream with few places, and with little patience."""
    limits = StreamLimits(
        clients=2, unauthenticated=1, ping=0.5, sign_in=0.3, recheck=0.05, close=0.1, linger=0.1
    )
    async with open_stream_server(short_folder, limits) as opened:
        yield opened


async def test_a_token_among_the_subprotocols_is_not_sent_back(
    stream: StreamServer, token: str
) -> None:
    """The server chooses `leadmaster.v1`, and says nothing of the token."""
    offer = f"{OFFER}leadmaster.v1, leadmaster.token.{token}"
    async with open_raw_socket(f"{stream.base}/v1/events", [offer]) as line:
        assert line.status == "101"
        assert "leadmaster.v1" in line.headers
        assert token not in line.headers
        assert "permessage-deflate" not in line.headers


async def test_programs_may_send_the_token_as_a_header(stream: StreamServer, token: str) -> None:
    """`Authorization: Bearer` counts as it does everywhere."""
    lines = [f"{OFFER}leadmaster.v1", f"Authorization: Bearer {token}"]
    async with open_raw_socket(f"{stream.base}/v1/events", lines) as line:
        assert (await line.read_until("subscribed"))[0]["frame"] == "hello"


async def test_the_first_message_may_bring_the_token(stream: StreamServer, token: str) -> None:
    """What it wants to hear may stand beside it, and goes before what the address says."""
    start, epoch = await stream.services.database.high_water(), stream.services.database.epoch
    await stream.commit_halts(2)
    async with stream.connect(query="?topics=session.changed&sessions=ventas") as client:
        await client.send_frame(
            "sign_in", token=token, topics=["sending.halted"], after=start, epoch=epoch
        )
        *_, first, second, subscribed = await client.read_until("subscribed")
    assert sequence_numbers([first, second]) == [start + 1, start + 2]
    assert (subscribed["topics"], subscribed["sessions"]) == (["sending.halted"], ["ventas"])


async def refused(client: StreamClient) -> tuple[int | None, str]:
    """Return how a connection was refused: close code and the error's code."""
    code, frames = await client.read_close()
    assert [frame["frame"] for frame in frames] == ["error"]
    return code, frames[0]["code"]


async def test_a_first_message_that_brings_no_token_ends_it(stream: StreamServer) -> None:
    """Whoever says anything else first is told so, and closed with 1008."""
    async with stream.connect() as client:
        await client.send_frame("subscribe")
        assert await refused(client) == (1008, "unauthorized")
    async with stream.connect() as client:
        await client.send_frame("sign_in", token="no.such.token")
        assert await refused(client) == (1008, "token_unreadable")
    async with stream.connect() as client:
        await client.socket.send_bytes(b"\x00")
        assert await refused(client) == (1008, "bad_request")


async def test_a_token_without_the_scope_hears_nothing(stream: StreamServer) -> None:
    """Without `events:read` the door stays shut, whichever way the token comes."""
    token = await stream.create_token(Scope.SESSIONS_READ)
    async with stream.connect() as client:
        await client.send_frame("sign_in", token=token)
        assert await refused(client) == (1008, "scope_missing")
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connect(token).__aenter__()
    assert error.value.status == 403


async def test_silence_is_no_way_to_sign_in(quick: StreamServer) -> None:
    """Whoever does not say who it is in time is closed, and its place is free."""
    async with quick.connect() as client:
        assert await refused(client) == (1008, "unauthorized")
    async with quick.connect() as client:
        await client.send_frame("sign_in", token=await quick.create_token())
        await client.read_until("subscribed")


async def test_a_token_in_the_address_is_refused(stream: StreamServer, token: str) -> None:
    """Addresses are written down everywhere: the field is not known there."""
    line = [f"{OFFER}leadmaster.v1, leadmaster.token.{token}"]
    async with open_raw_socket(f"{stream.base}/v1/events?token={token}", line) as answer:
        assert answer.status == "400"


@pytest.mark.parametrize(
    "query",
    ["after=1", "epoch=1", "after=-1&epoch=1", "after=x&epoch=1", "topics=no.such", "typo=1"],
)
async def test_what_an_address_asks_for_must_make_sense(
    stream: StreamServer, token: str, query: str
) -> None:
    """The handshake is refused with a sentence, before anything is told."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connect(token, f"?{query}").__aenter__()
    assert error.value.status == 400


async def test_a_browser_needs_its_cookie_and_our_own_origin(stream: StreamServer) -> None:
    """A page of another site opens nothing, whatever cookie the browser sends along."""
    sign_in = {"user": "ana", "password": "correct horse battery"}
    async with stream.session.post(f"{stream.base}/v1/sign-in", json=sign_in) as answer:
        cookie = "; ".join(f"{name}={each.value}" for name, each in answer.cookies.items())
    url, usual = f"{stream.base}/v1/events", [f"{OFFER}leadmaster.v1", f"Cookie: {cookie}"]
    async with open_raw_socket(url, [*usual, f"Origin: {stream.base}"]) as ours:
        assert ours.status == "101"
        await ours.read_until("subscribed")
    for origin in ([], ["Origin: https://elsewhere.example"]):
        async with open_raw_socket(url, [*usual, *origin]) as theirs:
            assert theirs.status == "403"


async def test_no_token_is_ever_logged(
    stream: StreamServer, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However a client offers it, and whatever is wrong with the rest of what it sends."""
    secret = f"leadmaster.token.{token}"
    offers = (
        [f"{OFFER}{secret}"],
        [f"{OFFER}{secret}", f"{OFFER}leadmaster.v1"],
        [f"{OFFER}leadmaster.v1, {secret}", "Sec-WebSocket-Version: 1"],
        [f"{OFFER}leadmaster.v2, {secret}"],
        [f"{OFFER}leadmaster.v1, {secret}"],
    )
    with caplog.at_level(logging.DEBUG), capture_logs() as ours:
        for offer in offers:
            async with open_raw_socket(f"{stream.base}/v1/events", offer) as line:
                assert line.status in {"101", "400"}
                assert token not in line.headers
        async with stream.connect() as client:
            await client.send_frame("sign_in", token=token, typo=token)
            _, frames = await client.read_close()
    assert token not in caplog.text + str(ours) + str(frames)


async def test_a_client_must_speak_our_protocol(stream: StreamServer, token: str) -> None:
    """Without `leadmaster.v1` in its offer nobody would know what the frames mean."""
    lines = [f"Authorization: Bearer {token}"]
    async with open_raw_socket(f"{stream.base}/v1/events", lines) as line:
        assert line.status == "400"


async def test_beyond_the_limit_there_is_a_sentence_and_a_close(quick: StreamServer) -> None:
    """The third of two is told so and closed with 1013; a place that is left is free again."""
    token = await quick.create_token()
    async with quick.subscribe(token), quick.subscribe(token), quick.connect(token) as third:
        code, frames = await third.read_close()
    assert (code, frames[0]["code"]) == (1013, "unavailable")
    assert "2 clients are connected" in frames[0]["sentence"]
    await quick.wait_until_empty()
    async with quick.subscribe(token):
        assert quick.registry.connected == 1


async def test_strangers_take_nobodys_place(quick: StreamServer) -> None:
    """Those who have not signed in yet have few places, and those only."""
    token = await quick.create_token()
    async with quick.connect() as stranger, quick.connect() as another:
        assert (await another.read_close())[0] == 1013
        async with quick.subscribe(token), quick.subscribe(token):
            assert quick.registry.connected == 3
        await stranger.socket.close()


async def test_the_server_pings_and_gives_up_on_the_silent(quick: StreamServer) -> None:
    """A line that answers no ping is closed; one that does stays."""
    token = await quick.create_token()
    async with quick.subscribe(token) as lively, quick.connect_unread(token) as silent:
        opcode, _ = await silent.read_frame()
        assert opcode == PING
        reading = asyncio.create_task(lively.read_frame())
        assert (await silent.read_close())[0] is None
        await quick.commit_halts()
        assert (await reading)["frame"] == "event"


async def test_a_clogged_line_that_asks_for_more_is_given_up_too(quick: StreamServer) -> None:
    """Nothing of it is left once its pings go unanswered, whatever it still waits for."""
    async with quick.connect_unread(await quick.create_token()) as deaf:
        for _ in range(80):
            await quick.commit_events(quick.build_halt_event("x" * 100_000))
        for session in ("a", "b", "c"):
            subscribe = json.dumps({"frame": "subscribe", "sessions": [session]})
            deaf.writer.write(mask_frame(subscribe.encode()))
        await quick.wait_until_empty()


async def test_a_defect_of_ours_ends_one_connection_and_is_logged(
    stream: StreamServer, token: str
) -> None:
    """The client gets 1011, the log the whole story, and the others go on."""
    async with stream.subscribe(token) as other:
        health = stream.runner.app[DAEMON_HEALTH]
        health.services = replace(stream.services, rulesets=None)
        with capture_logs() as logged:
            async with stream.connect(token) as client:
                assert (await client.read_close())[0] == 1011
        health.services = stream.services
        await stream.commit_halts()
        assert len(await other.read_events(1)) == 1
    assert [each["event"] for each in logged] == ["stream_failed"]


async def test_a_revoked_token_ends_its_streams(quick: StreamServer) -> None:
    """Within the time of one look: an error that says why, and 1008."""
    token = await quick.create_token()
    (record,) = await quick.auth.tokens.list_tokens(after="", limit=1)
    async with quick.subscribe(token) as client:
        await quick.auth.tokens.revoke_token(record.id, "root")
        assert await refused(client) == (1008, "token_revoked")


async def test_changed_rights_take_a_new_connection(quick: StreamServer) -> None:
    """A role that is less or more ends the stream, so that the next one has what it may have."""
    await quick.auth.users.create_user("eva", Role.ADMIN, "root", password="correct horse battery")
    async with quick.subscribe(await quick.create_token()) as client:
        await quick.auth.users.set_role("ana", Role.VIEWER, "root")
        assert await client.read_close() == (1012, [])


async def test_shutdown_closes_everybody_with_1012(stream: StreamServer, token: str) -> None:
    """Listeners and strangers alike are told to come back."""
    async with stream.subscribe(token) as client, stream.connect() as stranger:
        await stream.commit_halts()
        ends = asyncio.gather(client.read_close(), stranger.read_close())
        await stream.runner.cleanup()
        heard, unheard = await ends
    assert (heard[0], unheard[0]) == (1012, 1012)
    assert [frame["frame"] for frame in heard[1]] == ["event"]


async def test_a_house_that_closes_sends_its_listeners_away(
    stream: StreamServer, token: str
) -> None:
    """Where the log can't be read any more, clients are told to come back, and nothing breaks."""
    async with stream.subscribe(token) as client:
        await stream.services.database.close()
        await client.send_frame("subscribe", topics=["sending.halted"], after=0, epoch=1)
        assert await client.read_close() == (1012, [])
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connect(token).__aenter__()
    assert error.value.status == 503


async def test_a_stream_that_broke_begins_anew_for_the_next(
    stream: StreamServer, token: str
) -> None:
    """A house whose news end ends its listeners; whoever connects then is heard afresh."""
    async with stream.subscribe(token) as client:
        hub = await stream.registry.open_hub(stream.services)
        hub._feed.close()  # noqa: SLF001 - what only a closing bus does
        assert (await client.read_close())[0] == 1012
    async with stream.subscribe(token) as client:
        await stream.commit_halts()
        assert len(await client.read_events(1)) == 1


async def test_a_client_may_say_goodbye(stream: StreamServer, token: str) -> None:
    """Its close is answered in kind."""
    offer = f"{OFFER}leadmaster.v1, leadmaster.token.{token}"
    async with open_raw_socket(f"{stream.base}/v1/events", [offer]) as line:
        await line.read_until("subscribed")
        line.writer.write(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        opcode, payload = await line.read_frame()
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
