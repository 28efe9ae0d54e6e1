"""The Python client: what it hands out, and that nothing between it and the daemon is felt."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import pytest

from daemon.auth import Scope
from daemon.events import EVENT_CLASSES, list_data_fields
from daemon.http.websocket import StreamLimits
from leadmaster_client import Backoff, EventStream, Place, Refused, Snapshot
from leadmaster_client.events import (
    BY_TYPE,
    Event,
    SendingHalted,
    SendingResumed,
    SessionChanged,
    SessionQrShown,
    UnknownEvent,
)
from leadmaster_client.frames import event_of, frame_of
from storage import event_log
from tests.helpers.client.tcp_relay import TcpRelay, open_tcp_relay
from tests.helpers.client.websocket import StreamServer, open_stream_server

ROOT = Path(__file__).parent.parent.parent
CLIENT = ROOT / "clients" / "python"


def hasty() -> Backoff:
    """Return waits that a test can afford."""
    return Backoff(first=0.01, most=0.05, rng=Random(1))  # noqa: S311 - chance, no secret


@pytest.fixture
async def line(stream: StreamServer) -> AsyncIterator[TcpRelay]:
    """Open a line to the stream that a test can cut."""
    async with open_tcp_relay(stream.base) as opened:
        yield opened


async def snapshot_of(client: EventStream) -> Snapshot:
    """Return the next news, which must be a snapshot."""
    news = await anext(client)
    assert isinstance(news, Snapshot)
    return news


async def event_from(client: EventStream) -> Event:
    """Return the next news, which must be an event."""
    news = await anext(client)
    assert isinstance(news, Event)
    return news


async def test_news_are_typed(stream: StreamServer, token: str) -> None:
    """First the snapshot in classes, then each event as its own."""
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    await stream.services.halt.halt("ana", "a storm")
    async with EventStream(stream.base, token) as client:
        snapshot = await snapshot_of(client)
        await stream.services.halt.resume("ana", "it is over")
        event = await event_from(client)
    assert snapshot.sessions is not None
    assert snapshot.halt is not None
    assert (snapshot.sessions[0].name, snapshot.sessions[0].state) == ("ventas", "stopped")
    assert (snapshot.halt.who, snapshot.because) == ("ana", None)
    assert isinstance(event, SendingResumed)
    assert (event.who, event.subject, event.seq) == ("ana", "installation", snapshot.seq + 1)
    assert event.at.tzinfo is not None


async def test_cuts_in_the_middle_of_a_burst_are_not_felt(
    stream: StreamServer, line: TcpRelay, token: str
) -> None:
    """However often the line breaks, each event is handed out once and in order."""
    async with EventStream(line.url, token, backoff=hasty()) as client:
        start = (await snapshot_of(client)).seq
        heard: list[int | None] = []
        for _ in range(6):
            await stream.commit_halts(20)
            heard += [(await event_from(client)).seq for _ in range(7)]
            line.cut()
            await stream.commit_halts(10)
            heard += [(await event_from(client)).seq for _ in range(23)]
    assert heard == list(range(start + 1, start + 181))
    assert client.connects == 7


async def test_a_daemon_that_is_away_is_waited_for(
    stream: StreamServer, line: TcpRelay, token: str
) -> None:
    """Attempts go on for as long as it takes; then nothing is missing."""
    async with EventStream(line.url, token, backoff=hasty()) as client:
        await snapshot_of(client)
        line.up = False
        line.cut()
        waiting = asyncio.create_task(event_from(client))
        async with asyncio.timeout(10):
            while line.accepted < 4:  # noqa: ASYNC110 - the relay tells nobody
                await asyncio.sleep(0.01)
        await stream.commit_halts()
        line.up = True
        assert isinstance(await waiting, SendingHalted)


async def test_a_place_is_gone_on_from(stream: StreamServer, token: str) -> None:
    """What one stream was done with, the next one does not hear again; what it was not, it does."""
    async with EventStream(stream.base, token) as client:
        await snapshot_of(client)
        await stream.commit_halts(3)
        first = await event_from(client)
        second = await event_from(client)
        assert client.place == Place(stream.services.database.epoch, first.seq or 0)
    assert client.place == Place(stream.services.database.epoch, second.seq or 0)
    async with EventStream(stream.base, token, place=client.place) as again:
        assert (await event_from(again)).seq == (second.seq or 0) + 1


async def test_a_resync_is_visible(stream: StreamServer, line: TcpRelay, token: str) -> None:
    """Where the log was trimmed meanwhile, a snapshot comes that says so."""
    async with EventStream(line.url, token, backoff=hasty()) as client:
        first = await snapshot_of(client)
        line.up = False
        line.cut()
        await stream.commit_halts(5)
        horizon = stream.services.clock.now().replace(year=2030)
        await stream.services.database.write(
            lambda tx: event_log.trim_events(tx, horizon, first.seq + 2)
        )
        line.up = True
        second = await snapshot_of(client)
    assert (second.because, second.seq) == ("log_trimmed", first.seq + 5)


async def test_another_epoch_is_visible(stream: StreamServer, token: str) -> None:
    """A place in a log that was replaced leads to a snapshot of the new one."""
    async with EventStream(stream.base, token, place=Place(99, 1)) as client:
        snapshot = await snapshot_of(client)
    assert (snapshot.because, snapshot.epoch) == ("epoch_changed", stream.services.database.epoch)


async def test_a_narrowed_stream_moves_on_with_what_it_does_not_hear(
    stream: StreamServer, token: str
) -> None:
    """Topics and sessions narrow from the start; a place is noted even without news."""
    async with EventStream(
        stream.base, token, topics=["session.changed"], sessions=["ventas"]
    ) as client:
        snapshot = await snapshot_of(client)
        listening = asyncio.create_task(event_from(client))
        await stream.services.sessions.create("cobros", "simulated", "America/Bogota")
        await stream.commit_halts()
        await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
        event = await listening
    assert isinstance(event, SessionChanged)
    assert event.subject == "ventas"
    assert event.seq == snapshot.seq + 3


async def test_a_subscription_can_change_and_lasts(
    stream: StreamServer, line: TcpRelay, token: str
) -> None:
    """What was asked for last counts on this connection and on the next."""
    async with EventStream(line.url, token, backoff=hasty()) as client:
        await client.subscribe()
        await snapshot_of(client)
        await client.subscribe(topics=["sending.resumed"])
        await stream.services.halt.halt("ana", "a storm")
        await stream.services.halt.resume("ana", "it is over")
        news = [type(await event_from(client))]
        line.cut()
        await stream.services.halt.halt("ana", "a storm")
        await stream.services.halt.resume("ana", "it is over")
        news.append(type(await event_from(client)))
    # The first halt may have come before the daemon read what was asked.
    assert news[-1] is SendingResumed


async def test_codes_are_handed_out_with_their_time(stream: StreamServer, token: str) -> None:
    """A pairing code has no place in the log, and says how long it lasts."""
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    async with EventStream(stream.base, token, topics=["session.qr_shown"]) as client:
        await snapshot_of(client)
        await stream.services.sessions.start("ventas", "ana")
        code = await event_from(client)
    assert isinstance(code, SessionQrShown)
    assert code.seq is None
    assert code.seconds_left > 0


async def test_a_refusal_is_for_good(stream: StreamServer) -> None:
    """A token that is none, or that may not listen, raises with the daemon's own words."""
    for token, code in (
        ("nonsense", "token_unreadable"),
        (await stream.create_token(Scope.SESSIONS_READ), "scope_missing"),
    ):
        async with EventStream(stream.base, token) as client:
            with pytest.raises(Refused) as error:
                await anext(client)
            assert error.value.code == code
            assert error.value.hint
    async with EventStream(stream.base, await stream.create_token(), topics=["no.such"]) as client:
        with pytest.raises(Refused, match=r"bad_request: topics: there is no event no\.such"):
            await anext(client)
    async with EventStream(f"{stream.base}/elsewhere") as client:
        with pytest.raises(Refused, match="http_401"):
            await anext(client)


async def test_a_revoked_token_ends_the_loop_with_its_reason(short_folder: Path) -> None:
    """The error comes out of the iteration; a coroutine is asked for a token once a connection."""
    async with open_stream_server(short_folder, StreamLimits(recheck=0.05)) as stream:
        asked: list[str] = []

        async def fresh() -> str:
            asked.append(await stream.create_token())
            return asked[-1]

        async with EventStream(stream.base, fresh) as client:
            await snapshot_of(client)
            (record,) = await stream.auth.tokens.list_tokens(after="", limit=1)
            await stream.auth.tokens.revoke_token(record.id, "root")
            with pytest.raises(Refused, match="token_revoked"):
                await anext(client)
        assert len(asked) == client.connects == 1


async def test_closing_ends_an_iteration_that_waits(stream: StreamServer, token: str) -> None:
    """The loop just ends, and the daemon sees a goodbye."""
    async with EventStream(stream.base, token) as client:
        await snapshot_of(client)
        looping = asyncio.create_task(_loop(client))
        await asyncio.sleep(0)
        await client.close()
        assert await looping == []
    await stream.wait_until_empty()


async def _loop(client: EventStream) -> list[object]:
    return [news async for news in client]


async def test_closing_ends_a_wait_for_the_daemon(line: TcpRelay) -> None:
    """Nobody waits out a backoff to leave."""
    line.up = False
    async with EventStream(line.url, backoff=Backoff(first=60, most=60)) as client:
        looping = asyncio.create_task(_loop(client))
        async with asyncio.timeout(10):
            while not line.accepted:  # noqa: ASYNC110 - the relay tells nobody
                await asyncio.sleep(0.01)
        await client.close()
        assert await looping == []


async def test_a_session_of_the_callers_stays_open(stream: StreamServer, token: str) -> None:
    """What was lent is not closed."""
    async with aiohttp.ClientSession() as http:
        async with EventStream(stream.base, token, http=http) as client:
            await snapshot_of(client)
        assert not http.closed


def test_waits_double_and_differ() -> None:
    """Each wait is between half of what it could be and all of it, up to the most."""
    backoff = Backoff(first=1, most=10, rng=Random(3))  # noqa: S311 - chance, no secret
    waits = [backoff.next() for _ in range(50)]
    wholes = [1, 2, 4, 8] + [10] * 46
    assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits, wholes, strict=True))
    assert len(set(waits)) == 50
    backoff.reset()
    assert backoff.next() <= 1


def test_an_event_of_a_newer_daemon_arrives_whole() -> None:
    """A type that this client does not know is handed out as it is; a new field is left out."""
    told = '{"frame":"event","type":"%s","subject":"s","at":"2026-03-03T14:00:00Z","seq":1'
    told += ',"epoch":1,"data":{"who":"ana","reason":"r","more":1}}'
    strange = event_of(frame_of(told % "moon.rose"))
    known = event_of(frame_of(told % "sending.halted"))
    assert isinstance(strange, UnknownEvent)
    assert (strange.type, strange.data["more"]) == ("moon.rose", 1)
    assert isinstance(known, SendingHalted)


def test_the_vocabulary_is_the_daemons() -> None:
    """Each event has its class, with the daemon's fields; `make docs` writes them."""
    for word, kind in EVENT_CLASSES.items():
        own = {field.name for field in dataclasses.fields(BY_TYPE[word])}
        assert set(list_data_fields(kind)) <= own
    assert BY_TYPE.keys() == EVENT_CLASSES.keys()


async def test_the_example_of_the_readme_runs(stream: StreamServer, token: str) -> None:
    """The first thing that a reader copies works, against the real stream."""
    (example,) = re.findall(
        r"```python\n(.*?)```", (CLIENT / "README.md").read_text("utf-8"), re.DOTALL
    )
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        example,
        env={"PYTHONPATH": str(CLIENT / "src"), "LEADMASTER": stream.base, "TOKEN": token},
        stdout=subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(30):
            assert await program.stdout.readline() == b"now: ['stopped'] {}\n"
            await stream.services.sessions.start("ventas", "ana")
            assert (await program.stdout.readline()).startswith(b"session ventas is ")
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.communicate()
