"""The news for many: in order and whole for each, and no client is felt by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from daemon.auth import Scope
from daemon.http.websocket import StreamLimits
from tests.helpers.client.websocket import (
    Frame,
    StreamClient,
    StreamServer,
    open_stream_server,
    sequence_numbers,
)

pytestmark = pytest.mark.slow

MANY = 200
BIG = "x" * 100_000
"""A reason so long that a few dozen fill every buffer of a line that nobody reads."""


@pytest.fixture
async def narrow(short_folder: Path) -> AsyncIterator[StreamServer]:
    """Open a stream with little room for anything."""
    limits = StreamLimits(queue=8, bus=16, through=0.05)
    async with open_stream_server(short_folder, limits) as opened:
        yield opened


async def test_two_hundred_clients_hear_everything_in_order(
    stream: StreamServer, token: str
) -> None:
    """Bursts as large as a commit can be reach each of 200 clients without a hole."""
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(stream.subscribe(token)) for _ in range(MANY)]
        start = await stream.services.database.high_water()
        hearing = [asyncio.create_task(client.read_events(120)) for client in ears]
        for size in (1, 19, 100):
            await stream.commit_halts(size)
        heard = await asyncio.gather(*hearing)
    expected = list(range(start + 1, start + 121))
    assert all(sequence_numbers(frames) == expected for frames in heard)


async def test_reconnecting_in_the_middle_of_a_burst_loses_and_doubles_nothing(
    stream: StreamServer, token: str
) -> None:
    """Clients that hang up at any event and resume from it have heard the log as it is."""
    total, rng = 300, Random(7)  # noqa: S311 - any order will do
    start, epoch = await stream.services.database.high_water(), stream.services.database.epoch

    async def restless(patience: int) -> list[int]:
        heard: list[int] = []
        after = start
        while len(heard) < total:
            async with stream.connect(token, f"?after={after}&epoch={epoch}") as client:
                more = await client.read_events(min(patience, total - len(heard)))
            heard += sequence_numbers(more)
            after = heard[-1]
        return heard

    async def burst() -> None:
        for index in range(0, total, 20):
            await stream.commit_halts(20, index)

    clients = [restless(rng.randrange(10, 80)) for _ in range(12)]
    _, *heard = await asyncio.gather(burst(), *clients)
    assert all(each == list(range(start + 1, start + total + 1)) for each in heard)


async def test_a_stream_begun_in_a_burst_goes_on_from_its_snapshot(
    stream: StreamServer, token: str
) -> None:
    """Whoever comes while much happens hears each event past the snapshot's seq, once."""

    async def late() -> tuple[int, list[int]]:
        async with stream.connect(token) as client:
            snapshot = (await client.read_until("snapshot"))[-1]
            return snapshot["seq"], sequence_numbers(await client.read_events(10))

    async def burst() -> None:
        for _ in range(60):
            await stream.commit_halts(5)

    running = asyncio.create_task(burst())
    for seq, heard in await asyncio.gather(*(late() for _ in range(12))):
        assert heard == list(range(seq + 1, seq + 11))
    await running


async def test_what_the_bus_has_no_room_for_comes_from_the_log(narrow: StreamServer) -> None:
    """A commit larger than the bus holds reaches listeners whole."""
    async with narrow.subscribe(await narrow.create_token()) as client:
        start = await narrow.services.database.high_water()
        await narrow.commit_halts(500)
        await narrow.commit_halts(3)
        assert sequence_numbers(await client.read_events(503)) == list(
            range(start + 1, start + 504)
        )


async def test_a_client_that_never_reads_is_closed_and_the_others_go_on(
    narrow: StreamServer,
) -> None:
    """It gets 1013 once its queue is full; the others hear all, while its line stays clogged."""
    token = await narrow.create_token()
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(narrow.subscribe(token)) for _ in range(3)]
        deaf = await stack.enter_async_context(narrow.connect_unread(token))
        start = await narrow.services.database.high_water()
        hearing = [asyncio.create_task(client.read_events(120)) for client in ears]
        for _ in range(120):
            await narrow.commit_events(narrow.build_halt_event(BIG))
        for heard in await asyncio.gather(*hearing):
            assert sequence_numbers(heard) == list(range(start + 1, start + 121))
        code, told = await deaf.read_close()
    assert code == 1013
    said = sequence_numbers([frame for frame in told if frame["frame"] == "event"])
    assert said == list(range(start + 1, start + 1 + len(said))), "what it was told has no hole"
    assert len(said) < 120


async def test_a_line_that_is_never_read_is_cut_in_the_end(short_folder: Path) -> None:
    """Its buffer does not stay for ever, waiting for somebody to read the goodbye."""
    limits = StreamLimits(queue=8, close=0.05, linger=0.05)
    async with (
        open_stream_server(short_folder, limits) as stream,
        stream.connect_unread(await stream.create_token()) as deaf,
    ):
        for _ in range(120):
            await stream.commit_events(stream.build_halt_event(BIG))
        await stream.wait_until_empty()
        await asyncio.sleep(0.2)
        assert (await deaf.read_close())[0] is None


async def test_a_client_that_reads_slowly_is_kept(stream: StreamServer) -> None:
    """Waiting frames come as soon as the line takes more, in their order."""
    token = await stream.create_token()
    async with stream.connect_unread(token) as slow:
        start = await stream.services.database.high_water()
        for _ in range(80):
            await stream.commit_events(stream.build_halt_event(BIG))
        assert sequence_numbers(await slow.read_events(80)) == list(range(start + 1, start + 81))
        await stream.commit_halts()
        assert sequence_numbers(await slow.read_events(1)) == [start + 81]


async def test_a_narrowed_client_hears_its_topics_and_how_far_the_rest_came(
    narrow: StreamServer,
) -> None:
    """Topics choose; `through` says that what lies between was not for this client."""
    await narrow.services.sessions.create("ventas", "simulated", "America/Bogota")
    async with narrow.connect(await narrow.create_token(), "?topics=session.changed") as client:
        assert (await client.read_until("subscribed"))[-1]["topics"] == ["session.changed"]
        await narrow.commit_halts(4)
        end = await narrow.services.database.high_water()
        assert (await client.read_frame()) == {"frame": "through", "through_seq": end}
        await narrow.services.sessions.start("ventas", "ana")
        (event,) = await client.read_events(1)
    assert (event["type"], event["subject"]) == ("session.changed", "ventas")


async def test_sessions_narrow_what_is_about_a_session_and_nothing_else(
    stream: StreamServer, token: str
) -> None:
    """Another session's changes are not told; a halt, which is about none, is."""
    for name in ("ventas", "cobros"):
        await stream.services.sessions.create(name, "simulated", "America/Bogota")
    async with stream.subscribe(token, "?sessions=ventas") as client:
        await stream.services.sessions.start("cobros", "ana")
        await stream.services.sessions.start("ventas", "ana")
        await stream.commit_halts()
        subjects = [(await client.read_events(1))[0]["subject"]]
        while subjects[-1] != "installation":
            subjects.append((await client.read_events(1))[0]["subject"])
    assert set(subjects) == {"ventas", "installation"}


async def test_subscribe_narrows_from_where_the_client_is(stream: StreamServer, token: str) -> None:
    """Who wants less gets no snapshot again; `through_seq` is the place of the change."""
    async with stream.subscribe(token) as client:
        await stream.commit_halts()
        (event,) = await client.read_events(1)
        await client.send_frame("subscribe", topics=["sending.resumed"])
        subscribed = await client.read_frame()
        assert subscribed == {
            "frame": "subscribed",
            "topics": ["sending.resumed"],
            "sessions": None,
            "through_seq": event["seq"],
        }
        await stream.services.halt.halt("ana", "a storm")
        await stream.services.halt.resume("ana", "it is over")
        assert [each["type"] for each in await client.read_events(1)] == ["sending.resumed"]


async def test_subscribe_to_more_brings_a_fresh_snapshot(stream: StreamServer, token: str) -> None:
    """What the client did not follow it would not know: it begins anew."""
    async with stream.subscribe(token, "?topics=sending.resumed&sessions=ventas") as client:
        await stream.commit_halts(2)
        await client.send_frame("subscribe", sessions=["ventas"])
        frames = await client.read_until("subscribed")
        assert [frame["frame"] for frame in frames] == ["snapshot", "subscribed"]
        assert frames[0]["seq"] == await stream.services.database.high_water()


async def test_subscribe_can_go_back_in_the_log(stream: StreamServer, token: str) -> None:
    """With after and epoch the past of the new topics is told first."""
    start, epoch = await stream.services.database.high_water(), stream.services.database.epoch
    async with stream.subscribe(token, "?topics=sending.resumed") as client:
        await stream.commit_halts(2)
        await client.send_frame("subscribe", topics=["sending.halted"], after=start, epoch=epoch)
        *events, subscribed = await client.read_until("subscribed")
    assert sequence_numbers(events) == [start + 1, start + 2]
    assert subscribed["through_seq"] == start + 2


async def test_each_topic_has_its_scope(stream: StreamServer) -> None:
    """A token hears what its scopes cover, and may not ask for more by name."""
    few = await stream.create_token(Scope.EVENTS_READ, Scope.SESSIONS_READ)
    async with stream.subscribe(few) as client:
        await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
        await client.send_frame("subscribe", topics=["message.changed"])
        event, error = await client.read_frame(), await client.read_frame()
    assert event["type"] == "session.changed"
    assert (error["frame"], error["code"]) == ("error", "scope_missing")
    assert "messages:read" in error["sentence"]


async def test_pairing_codes_go_only_to_who_may_pair(stream: StreamServer) -> None:
    """A code has no seq, says how long it lasts, and reaches nobody without `sessions:pair`."""
    pair = await stream.create_token(Scope.EVENTS_READ, Scope.SESSIONS_READ, Scope.SESSIONS_PAIR)
    read = await stream.create_token(Scope.EVENTS_READ, Scope.SESSIONS_READ)
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    async with stream.subscribe(pair) as may, stream.subscribe(read) as may_not:
        await stream.services.sessions.start("ventas", "ana")
        code = (await may.read_until("qr"))[-1]
        seen = await _until_scanning(may_not)
        async with stream.connect(pair) as late:
            again = (await late.read_until("qr"))[-1]
        async with stream.connect(read) as late:
            unseen = await late.read_until("subscribed")
            await stream.commit_halts()
            unseen += await late.read_until("event")
    assert "seq" not in code
    assert code["subject"] == "ventas"
    assert 0 < code["seconds_left"] <= 60
    assert again["data"]["code"] == code["data"]["code"]
    assert code["data"]["code"] not in str(seen)
    assert {frame["frame"] for frame in seen} == {"event"}
    assert "qr" not in {frame["frame"] for frame in unseen}


async def _until_scanning(client: StreamClient) -> list[Frame]:
    found = [await client.read_frame()]
    while found[-1]["data"]["state"] != "awaiting_scan":
        found.append(await client.read_frame())
    return found


async def test_a_client_that_hangs_up_is_forgotten(stream: StreamServer, token: str) -> None:
    """Its seat and its place in the fan-out are free again."""
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(stream.subscribe(token))
        assert stream.registry.connected == 3
    await stream.wait_until_empty()


async def test_a_burst_while_nobody_listens_costs_nothing_later(
    stream: StreamServer, token: str
) -> None:
    """The hub moves on alone; who comes then begins where it is."""
    async with stream.subscribe(token):
        pass
    await stream.wait_until_empty()
    await stream.commit_halts(50)
    async with stream.connect(token) as client:
        snapshot = (await client.read_until("snapshot"))[-1]
        await stream.commit_halts()
        assert sequence_numbers(await client.read_events(1)) == [snapshot["seq"] + 1]
