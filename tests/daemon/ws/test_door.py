"""Who gets in to the stream and by which way, who does not, and how every connection ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from daemon.auth import Role, Scope
from daemon.http.ws import Limits
from tests.helpers.raw_socket import CLOSE, PING, masked, raw_socket
from tests.helpers.stream import Ear, StreamHouse, seqs, stream_house

OFFER = "Sec-WebSocket-Protocol: "


@pytest.fixture
async def quick(short_folder: Path) -> AsyncIterator[StreamHouse]:
    """Open a stream with few places, and with little patience."""
    limits = Limits(
        clients=2, strangers=1, ping=0.1, sign_in=0.3, recheck=0.05, close=0.1, linger=0.1
    )
    async with stream_house(short_folder, limits) as opened:
        yield opened


async def test_a_token_among_the_subprotocols_is_not_sent_back(
    stream: StreamHouse, token: str
) -> None:
    """The server chooses `leadmaster.v1`, and says nothing of the token."""
    offer = f"{OFFER}leadmaster.v1, leadmaster.token.{token}"
    async with raw_socket(f"{stream.base}/v1/events", [offer]) as line:
        assert line.status == "101"
        assert "leadmaster.v1" in line.headers
        assert token not in line.headers
        assert "permessage-deflate" not in line.headers


async def test_programs_may_send_the_token_as_a_header(stream: StreamHouse, token: str) -> None:
    """`Authorization: Bearer` counts as it does everywhere."""
    lines = [f"{OFFER}leadmaster.v1", f"Authorization: Bearer {token}"]
    async with raw_socket(f"{stream.base}/v1/events", lines) as line:
        assert (await line.until("subscribed"))[0]["frame"] == "hello"


async def test_the_first_message_may_bring_the_token(stream: StreamHouse, token: str) -> None:
    """What it wants to hear may stand beside it, and goes before what the address says."""
    start, epoch = await stream.house.database.high_water(), stream.house.database.epoch
    await stream.happen(2)
    async with stream.connected(query="?topics=session.changed&sessions=ventas") as ear:
        await ear.say("sign_in", token=token, topics=["sending.halted"], after=start, epoch=epoch)
        *_, first, second, subscribed = await ear.until("subscribed")
    assert seqs([first, second]) == [start + 1, start + 2]
    assert (subscribed["topics"], subscribed["sessions"]) == (["sending.halted"], ["ventas"])


async def refused(ear: Ear) -> tuple[int | None, str]:
    """Return how a connection was refused: close code and the error's code."""
    code, frames = await ear.end()
    assert [frame["frame"] for frame in frames] == ["error"]
    return code, frames[0]["code"]


async def test_a_first_message_that_brings_no_token_ends_it(stream: StreamHouse) -> None:
    """Whoever says anything else first is told so, and closed with 1008."""
    async with stream.connected() as ear:
        await ear.say("subscribe")
        assert await refused(ear) == (1008, "unauthorized")
    async with stream.connected() as ear:
        await ear.say("sign_in", token="no.such.token")
        assert await refused(ear) == (1008, "token_unreadable")
    async with stream.connected() as ear:
        await ear.socket.send_bytes(b"\x00")
        assert await refused(ear) == (1008, "bad_request")


async def test_a_token_without_the_scope_hears_nothing(stream: StreamHouse) -> None:
    """Without `events:read` the door stays shut, whichever way the token comes."""
    token = await stream.token(Scope.SESSIONS_READ)
    async with stream.connected() as ear:
        await ear.say("sign_in", token=token)
        assert await refused(ear) == (1008, "scope_missing")
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connected(token).__aenter__()
    assert error.value.status == 403


async def test_silence_is_no_way_to_sign_in(quick: StreamHouse) -> None:
    """Whoever does not say who it is in time is closed, and its place is free."""
    async with quick.connected() as ear:
        assert await refused(ear) == (1008, "unauthorized")
    async with quick.connected() as ear:
        await ear.say("sign_in", token=await quick.token())
        await ear.until("subscribed")


async def test_a_token_in_the_address_is_refused(stream: StreamHouse, token: str) -> None:
    """Addresses are written down everywhere: the field is not known there."""
    line = [f"{OFFER}leadmaster.v1, leadmaster.token.{token}"]
    async with raw_socket(f"{stream.base}/v1/events?token={token}", line) as answer:
        assert answer.status == "400"


@pytest.mark.parametrize(
    "query",
    ["after=1", "epoch=1", "after=-1&epoch=1", "after=x&epoch=1", "topics=no.such", "typo=1"],
)
async def test_what_an_address_asks_for_must_make_sense(
    stream: StreamHouse, token: str, query: str
) -> None:
    """The handshake is refused with a sentence, before anything is told."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connected(token, f"?{query}").__aenter__()
    assert error.value.status == 400


async def test_a_browser_needs_its_cookie_and_our_own_origin(stream: StreamHouse) -> None:
    """A page of another site opens nothing, whatever cookie the browser sends along."""
    sign_in = {"user": "ana", "password": "correct horse battery"}
    async with stream.session.post(f"{stream.base}/v1/sign-in", json=sign_in) as answer:
        cookie = "; ".join(f"{name}={each.value}" for name, each in answer.cookies.items())
    url, usual = f"{stream.base}/v1/events", [f"{OFFER}leadmaster.v1", f"Cookie: {cookie}"]
    async with raw_socket(url, [*usual, f"Origin: {stream.base}"]) as ours:
        assert ours.status == "101"
        await ours.until("subscribed")
    for origin in ([], ["Origin: https://elsewhere.example"]):
        async with raw_socket(url, [*usual, *origin]) as theirs:
            assert theirs.status == "403"


async def test_no_token_is_ever_logged(
    stream: StreamHouse, token: str, caplog: pytest.LogCaptureFixture
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
            async with raw_socket(f"{stream.base}/v1/events", offer) as line:
                assert line.status in {"101", "400"}
                assert token not in line.headers
        async with stream.connected() as ear:
            await ear.say("sign_in", token=token, typo=token)
            _, frames = await ear.end()
    assert token not in caplog.text + str(ours) + str(frames)


async def test_a_client_must_speak_our_protocol(stream: StreamHouse, token: str) -> None:
    """Without `leadmaster.v1` in its offer nobody would know what the frames mean."""
    lines = [f"Authorization: Bearer {token}"]
    async with raw_socket(f"{stream.base}/v1/events", lines) as line:
        assert line.status == "400"


async def test_beyond_the_limit_there_is_a_sentence_and_a_close(quick: StreamHouse) -> None:
    """The third of two is told so and closed with 1013; a place that is left is free again."""
    token = await quick.token()
    async with quick.listening(token), quick.listening(token), quick.connected(token) as third:
        code, frames = await third.end()
    assert (code, frames[0]["code"]) == (1013, "unavailable")
    assert "2 clients are connected" in frames[0]["sentence"]
    await quick.emptied()
    async with quick.listening(token):
        assert quick.room.connected == 1


async def test_strangers_take_nobodys_place(quick: StreamHouse) -> None:
    """Those who have not signed in yet have few places, and those only."""
    token = await quick.token()
    async with quick.connected() as stranger, quick.connected() as another:
        assert (await another.end())[0] == 1013
        async with quick.listening(token), quick.listening(token):
            assert quick.room.connected == 3
        await stranger.socket.close()


async def test_the_server_pings_and_gives_up_on_the_silent(quick: StreamHouse) -> None:
    """A line that answers no ping is closed; one that does stays."""
    token = await quick.token()
    async with quick.listening(token) as lively, quick.deaf(token) as silent:
        opcode, _ = await silent.frame()
        assert opcode == PING
        reading = asyncio.create_task(lively.next())
        assert (await silent.end())[0] is None
        await quick.happen()
        assert (await reading)["frame"] == "event"


async def test_a_clogged_line_that_asks_for_more_is_given_up_too(quick: StreamHouse) -> None:
    """Nothing of it is left once its pings go unanswered, whatever it still waits for."""
    async with quick.deaf(await quick.token()) as deaf:
        for _ in range(80):
            await quick.emit(quick.halted("x" * 100_000))
        for session in ("a", "b", "c"):
            subscribe = json.dumps({"frame": "subscribe", "sessions": [session]})
            deaf.writer.write(masked(subscribe.encode()))
        await quick.emptied()


async def test_a_defect_of_ours_ends_one_connection_and_is_logged(
    stream: StreamHouse, token: str
) -> None:
    """The client gets 1011, the log the whole story, and the others go on."""
    async with stream.listening(token) as other:
        rules = stream.house.rulebook
        del stream.house.rulebook
        with capture_logs() as logged:
            async with stream.connected(token) as ear:
                assert (await ear.end())[0] == 1011
        stream.house.rulebook = rules
        await stream.happen()
        assert len(await other.events(1)) == 1
    assert [each["event"] for each in logged] == ["stream_failed"]


async def test_a_revoked_token_ends_its_streams(quick: StreamHouse) -> None:
    """Within the time of one look: an error that says why, and 1008."""
    token = await quick.token()
    (record,) = await quick.auth.tokens.list(after="", limit=1)
    async with quick.listening(token) as ear:
        await quick.auth.tokens.revoke(record.id, "root")
        assert await refused(ear) == (1008, "token_revoked")


async def test_changed_rights_take_a_new_connection(quick: StreamHouse) -> None:
    """A role that is less or more ends the stream, so that the next one has what it may have."""
    await quick.auth.users.create("eva", Role.ADMIN, "root", password="correct horse battery")
    async with quick.listening(await quick.token()) as ear:
        await quick.auth.users.set_role("ana", Role.VIEWER, "root")
        assert await ear.end() == (1012, [])


async def test_shutdown_closes_everybody_with_1012(stream: StreamHouse, token: str) -> None:
    """Listeners and strangers alike are told to come back."""
    async with stream.listening(token) as ear, stream.connected() as stranger:
        await stream.happen()
        ends = asyncio.gather(ear.end(), stranger.end())
        await stream.runner.cleanup()
        heard, unheard = await ends
    assert (heard[0], unheard[0]) == (1012, 1012)
    assert [frame["frame"] for frame in heard[1]] == ["event"]


async def test_a_house_that_closes_sends_its_listeners_away(
    stream: StreamHouse, token: str
) -> None:
    """Where the log can't be read any more, clients are told to come back, and nothing breaks."""
    async with stream.listening(token) as ear:
        await stream.house.database.close()
        await ear.say("subscribe", topics=["sending.halted"], after=0, epoch=1)
        assert await ear.end() == (1012, [])
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await stream.connected(token).__aenter__()
    assert error.value.status == 503


async def test_a_stream_that_broke_begins_anew_for_the_next(
    stream: StreamHouse, token: str
) -> None:
    """A house whose news end ends its listeners; whoever connects then is heard afresh."""
    async with stream.listening(token) as ear:
        hub = await stream.room.hub(stream.house)
        hub._news.close()  # noqa: SLF001 - what only a closing bus does
        assert (await ear.end())[0] == 1012
    async with stream.listening(token) as ear:
        await stream.happen()
        assert len(await ear.events(1)) == 1


async def test_a_client_may_say_goodbye(stream: StreamHouse, token: str) -> None:
    """Its close is answered in kind."""
    offer = f"{OFFER}leadmaster.v1, leadmaster.token.{token}"
    async with raw_socket(f"{stream.base}/v1/events", [offer]) as line:
        await line.until("subscribed")
        line.writer.write(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        opcode, payload = await line.frame()
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
