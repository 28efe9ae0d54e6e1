"""How a stream begins: hello, then a snapshot or what was missed, then the news."""

from __future__ import annotations

from daemon.auth import Scope
from daemon.http.ws.replay import PAGE
from storage import event_log
from storage.times import stamp
from tests.helpers.stream import StreamHouse, seqs


async def test_a_stream_begins_with_hello_and_a_snapshot(stream: StreamHouse, token: str) -> None:
    """Hello names the log and the server, the snapshot everything as it stands."""
    async with stream.connected(token) as ear:
        hello, snapshot, subscribed = await ear.until("subscribed")
    assert hello["frame"] == "hello"
    assert hello["epoch"] == stream.house.database.epoch
    assert hello["server"]["instance"] == stream.house.database.instance_id
    assert snapshot["frame"] == "snapshot"
    assert snapshot["seq"] == hello["seq"] == subscribed["through_seq"]
    assert (snapshot["sessions"], snapshot["queues"], snapshot["halt"]) == ([], {}, None)
    assert snapshot["rules"]["gate"] == stream.house.rulebook.gate.ruleset.hash
    assert "session.qr_shown" in subscribed["topics"]


async def test_news_follow_in_order_with_all_that_an_event_is(
    stream: StreamHouse, token: str
) -> None:
    """An event carries seq, epoch, type, time, subject and data."""
    async with stream.listening(token) as ear:
        before = await stream.house.database.high_water()
        happened = [stream.halted(f"r{index}") for index in range(3)]
        await stream.emit(*happened)
        first, *more = await ear.events(3)
    assert seqs([first, *more]) == [before + 1, before + 2, before + 3]
    assert first == {
        "frame": "event",
        "seq": before + 1,
        "epoch": stream.house.database.epoch,
        "type": "sending.halted",
        "at": stamp(happened[0].at),
        "subject": "installation",
        "data": {"who": "ana", "reason": "r0"},
    }


async def test_the_snapshot_is_the_state_at_its_seq(stream: StreamHouse, token: str) -> None:
    """What a snapshot shows is what REST shows: sessions in the same words, the halt in force."""
    await stream.house.sessions.create("ventas", "simulated", "America/Bogota")
    await stream.house.halt.halt("ana", "a storm")
    async with stream.connected(token) as ear:
        snapshot = (await ear.until("snapshot"))[-1]
    (session,) = snapshot["sessions"]
    view = stream.house.sessions.view("ventas")
    assert (session["name"], session["state"]) == ("ventas", "stopped")
    assert (session["sentence"], session["status"]) == (view.sentence, view.status)
    assert snapshot["halt"]["who"] == "ana"
    assert snapshot["seq"] == await stream.house.database.high_water()


async def test_what_was_missed_comes_in_order_and_then_the_news(
    stream: StreamHouse, token: str
) -> None:
    """After a place in the log, over several pages: no snapshot, no hole, nothing twice."""
    start = await stream.house.database.high_water()
    for _ in range(3):
        await stream.happen(PAGE - 1)
    missed = 3 * (PAGE - 1)
    where = f"?after={start}&epoch={stream.house.database.epoch}"
    async with stream.connected(token, where) as ear:
        frames = await ear.until("subscribed")
        await stream.happen(2)
        news = await ear.events(2)
    assert [frame["frame"] for frame in frames] == ["hello", *["event"] * missed, "subscribed"]
    assert frames[-1]["through_seq"] == start + missed
    expected = range(start + 1, start + missed + 3)
    assert seqs(frames[1:-1]) + seqs(news) == list(expected)


async def test_an_event_is_the_same_bytes_live_and_from_the_log(
    stream: StreamHouse, token: str
) -> None:
    """Whoever was there and whoever came later were told the same."""
    await stream.house.sessions.create("ventas", "simulated", "America/Bogota")
    start = await stream.house.database.high_water()
    async with stream.listening(token) as ear:
        await stream.happen(2)
        await stream.house.sessions.start("ventas", "ana")
        live = await ear.events(4)
    where = f"?after={start}&epoch={stream.house.database.epoch}"
    async with stream.connected(token, where) as ear:
        assert await ear.events(4) == live


async def test_a_trimmed_log_asks_for_a_resync(stream: StreamHouse, token: str) -> None:
    """Where the log no longer reaches back, the client is told so and gets a fresh snapshot."""
    start = await stream.house.database.high_water()
    await stream.happen(5)
    horizon = stream.house.clock.now().replace(year=2030)
    await stream.house.database.write(lambda tx: event_log.trim(tx, horizon, start + 2))
    where = f"?after={start}&epoch={stream.house.database.epoch}"
    async with stream.connected(token, where) as ear:
        hello, resync, snapshot, subscribed = await ear.until("subscribed")
    assert (resync["frame"], resync["reason_code"]) == ("resync_required", "log_trimmed")
    assert snapshot["seq"] == subscribed["through_seq"] == hello["seq"] == start + 5


async def test_an_emptied_log_still_knows_its_end(stream: StreamHouse, token: str) -> None:
    """With every event forgotten, who has all goes on, and who lacks one is resynced."""
    horizon = stream.house.clock.now().replace(year=2030)
    await stream.house.database.trim_events(horizon)
    end, epoch = await stream.house.database.high_water(), stream.house.database.epoch
    async with stream.connected(token, f"?after={end}&epoch={epoch}") as ear:
        assert [frame["frame"] for frame in await ear.until("subscribed")] == [
            "hello",
            "subscribed",
        ]
    async with stream.connected(token, f"?after={end - 1}&epoch={epoch}") as ear:
        assert (await ear.until("snapshot"))[1]["reason_code"] == "log_trimmed"


async def test_another_epoch_asks_for_a_resync(stream: StreamHouse, token: str) -> None:
    """A number of another log means nothing here, however well it would fit."""
    start = await stream.house.database.high_water()
    async with stream.connected(token, f"?after={start}&epoch=77") as ear:
        frames = await ear.until("subscribed")
    assert frames[1]["reason_code"] == "epoch_changed"
    assert frames[2]["frame"] == "snapshot"


async def test_a_place_that_the_log_has_not_reached_asks_for_a_resync(
    stream: StreamHouse, token: str
) -> None:
    """Nobody waits for a number that may never come."""
    epoch = stream.house.database.epoch
    async with stream.connected(token, f"?after={2**53 - 1}&epoch={epoch}") as ear:
        assert (await ear.until("snapshot"))[1]["reason_code"] == "seq_unknown"


async def test_a_snapshot_shows_only_what_may_be_read(stream: StreamHouse) -> None:
    """What the scopes of a token do not cover is null."""
    async with stream.connected(await stream.token(Scope.EVENTS_READ)) as ear:
        _, snapshot, subscribed = await ear.until("subscribed")
    hidden = [snapshot[name] for name in ("sessions", "queues", "rules")]
    assert hidden == [None, None, None]
    assert subscribed["topics"] == ["plugin.failed", "sending.halted", "sending.resumed"]
