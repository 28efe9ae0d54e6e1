"""How a stream begins: hello, then a snapshot or what was missed, then the news."""

from __future__ import annotations

from daemon.auth import Scope
from daemon.http.websocket.event_feed import REPLAY_PAGE_SIZE
from storage import event_log
from storage.column_formats import format_timestamp
from tests.helpers.client.websocket import StreamServer, sequence_numbers


async def test_a_stream_begins_with_hello_and_a_snapshot(stream: StreamServer, token: str) -> None:
    """Hello names the log and the server, the snapshot everything as it stands."""
    async with stream.connect(token) as client:
        hello, snapshot, subscribed = await client.read_until("subscribed")
    assert hello["frame"] == "hello"
    assert hello["epoch"] == stream.services.database.epoch
    assert hello["server"]["instance"] == stream.services.database.instance_id
    assert snapshot["frame"] == "snapshot"
    assert snapshot["seq"] == hello["seq"] == subscribed["through_seq"]
    assert (snapshot["sessions"], snapshot["queues"], snapshot["halt"]) == ([], {}, None)
    assert snapshot["rules"]["gate"] == stream.services.rulesets.gate.ruleset.hash
    assert "session.qr_shown" in subscribed["topics"]


async def test_news_follow_in_order_with_all_that_an_event_is(
    stream: StreamServer, token: str
) -> None:
    """An event carries seq, epoch, type, time, subject and data."""
    async with stream.subscribe(token) as client:
        before = await stream.services.database.high_water()
        happened = [stream.build_halt_event(f"r{index}") for index in range(3)]
        await stream.commit_events(*happened)
        first, *more = await client.read_events(3)
    assert sequence_numbers([first, *more]) == [before + 1, before + 2, before + 3]
    assert first == {
        "frame": "event",
        "seq": before + 1,
        "epoch": stream.services.database.epoch,
        "type": "sending.halted",
        "at": format_timestamp(happened[0].at),
        "subject": "installation",
        "data": {"who": "ana", "reason": "r0"},
    }


async def test_the_snapshot_is_the_state_at_its_seq(stream: StreamServer, token: str) -> None:
    """What a snapshot shows is what REST shows: sessions in the same words, the halt in force."""
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    await stream.services.halt.halt("ana", "a storm")
    async with stream.connect(token) as client:
        snapshot = (await client.read_until("snapshot"))[-1]
    (session,) = snapshot["sessions"]
    view = stream.services.sessions.view("ventas")
    assert (session["name"], session["state"]) == ("ventas", "stopped")
    assert (session["sentence"], session["status"]) == (view.sentence, view.status)
    assert snapshot["halt"]["who"] == "ana"
    assert snapshot["seq"] == await stream.services.database.high_water()


async def test_what_was_missed_comes_in_order_and_then_the_news(
    stream: StreamServer, token: str
) -> None:
    """After a place in the log, over several pages: no snapshot, no hole, nothing twice."""
    start = await stream.services.database.high_water()
    for _ in range(3):
        await stream.commit_halts(REPLAY_PAGE_SIZE - 1)
    missed = 3 * (REPLAY_PAGE_SIZE - 1)
    where = f"?after={start}&epoch={stream.services.database.epoch}"
    async with stream.connect(token, where) as client:
        frames = await client.read_until("subscribed")
        await stream.commit_halts(2)
        news = await client.read_events(2)
    assert [frame["frame"] for frame in frames] == ["hello", *["event"] * missed, "subscribed"]
    assert frames[-1]["through_seq"] == start + missed
    expected = range(start + 1, start + missed + 3)
    assert sequence_numbers(frames[1:-1]) + sequence_numbers(news) == list(expected)


async def test_an_event_is_the_same_bytes_live_and_from_the_log(
    stream: StreamServer, token: str
) -> None:
    """Whoever was there and whoever came later were told the same."""
    await stream.services.sessions.create("ventas", "simulated", "America/Bogota")
    start = await stream.services.database.high_water()
    async with stream.subscribe(token) as client:
        await stream.commit_halts(2)
        await stream.services.sessions.start("ventas", "ana")
        live = await client.read_events(4)
    where = f"?after={start}&epoch={stream.services.database.epoch}"
    async with stream.connect(token, where) as client:
        assert await client.read_events(4) == live


async def test_a_trimmed_log_asks_for_a_resync(stream: StreamServer, token: str) -> None:
    """Where the log no longer reaches back, the client is told so and gets a fresh snapshot."""
    start = await stream.services.database.high_water()
    await stream.commit_halts(5)
    horizon = stream.services.clock.now().replace(year=2030)
    await stream.services.database.write(lambda tx: event_log.trim_events(tx, horizon, start + 2))
    where = f"?after={start}&epoch={stream.services.database.epoch}"
    async with stream.connect(token, where) as client:
        hello, resync, snapshot, subscribed = await client.read_until("subscribed")
    assert (resync["frame"], resync["reason_code"]) == ("resync_required", "log_trimmed")
    assert snapshot["seq"] == subscribed["through_seq"] == hello["seq"] == start + 5


async def test_an_emptied_log_still_knows_its_end(stream: StreamServer, token: str) -> None:
    """With every event forgotten, who has all goes on, and who lacks one is resynced."""
    horizon = stream.services.clock.now().replace(year=2030)
    await stream.services.database.trim_events(horizon)
    end, epoch = await stream.services.database.high_water(), stream.services.database.epoch
    async with stream.connect(token, f"?after={end}&epoch={epoch}") as client:
        assert [frame["frame"] for frame in await client.read_until("subscribed")] == [
            "hello",
            "subscribed",
        ]
    async with stream.connect(token, f"?after={end - 1}&epoch={epoch}") as client:
        assert (await client.read_until("snapshot"))[1]["reason_code"] == "log_trimmed"


async def test_another_epoch_asks_for_a_resync(stream: StreamServer, token: str) -> None:
    """A number of another log means nothing here, however well it would fit."""
    start = await stream.services.database.high_water()
    async with stream.connect(token, f"?after={start}&epoch=77") as client:
        frames = await client.read_until("subscribed")
    assert frames[1]["reason_code"] == "epoch_changed"
    assert frames[2]["frame"] == "snapshot"


async def test_a_place_that_the_log_has_not_reached_asks_for_a_resync(
    stream: StreamServer, token: str
) -> None:
    """Nobody waits for a number that may never come."""
    epoch = stream.services.database.epoch
    async with stream.connect(token, f"?after={2**53 - 1}&epoch={epoch}") as client:
        assert (await client.read_until("snapshot"))[1]["reason_code"] == "seq_unknown"


async def test_a_snapshot_shows_only_what_may_be_read(stream: StreamServer) -> None:
    """What the scopes of a token do not cover is null."""
    async with stream.connect(await stream.create_token(Scope.EVENTS_READ)) as client:
        _, snapshot, subscribed = await client.read_until("subscribed")
    hidden = [snapshot[name] for name in ("sessions", "queues", "rules")]
    assert hidden == [None, None, None]
    assert subscribed["topics"] == [
        "clock.stepped",
        "decision.recorded",
        "plugin.failed",
        "sending.halted",
        "sending.resumed",
    ]
