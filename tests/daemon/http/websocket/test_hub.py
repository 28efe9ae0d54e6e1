"""The fan-out by itself, where the log and the bus are made to disagree for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from daemon.auth import ALL_SCOPES
from daemon.bus import EventBus
from daemon.events import DomainEvent
from daemon.http.websocket.client import HIGH_WATER_BYTES, ClientQueue, StreamLimits
from daemon.http.websocket.frames import (
    CLOSE_INTERNAL_ERROR,
    CLOSE_RESTARTING,
    CLOSE_TOO_SLOW,
    CloseReason,
    encode_frame,
)
from daemon.http.websocket.hub import EventHub
from daemon.http.websocket.stream import ClientStream
from daemon.http.websocket.subscription import SubscriptionRequest, parse_client_frame
from storage import event_log
from tests.helpers.client.websocket import StreamServer
from tests.helpers.services.notes_database import NoteAdded


class FakeWriteTransport(asyncio.WriteTransport):
    """A line that takes everything, or fills up; a test reads what was said on it."""

    def __init__(self) -> None:
        super().__init__()
        self.said = bytearray()
        self.full = False
        self.room = asyncio.Event()
        self.room.set()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Take it."""
        self.said += data

    def get_write_buffer_size(self) -> int:
        """Tell how much waits."""
        return HIGH_WATER_BYTES if self.full else 0

    async def drained(self) -> None:
        """Return when there is room."""
        await self.room.wait()

    def frames(self) -> list[dict[str, Any]]:
        """Return what was said."""
        found, left = [], bytes(self.said)
        while left:
            size, head = left[1], 2
            if size == 126:
                size, head = int.from_bytes(left[2:4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(left[2:10], "big"), 10
            found.append(msgspec.json.decode(left[head : head + size]))
            left = left[head + size :]
        return found


class UnserialisableEvent(DomainEvent, frozen=True):
    """An event that no JSON can tell: a defect of ours."""

    thing: object


class RecordedEndings:
    """What a hub says when it can't go on."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[CloseReason] = asyncio.Queue()

    async def next(self) -> CloseReason:
        """Return it."""
        async with asyncio.timeout(10):
            return await self.said.get()


@pytest.fixture
def bus(stream: StreamServer) -> EventBus:
    """Give the house a bus on which nothing happens but what a test publishes."""
    stream.services = replace(stream.services, bus=EventBus())
    return stream.services.bus


@pytest.fixture
def ends() -> RecordedEndings:
    """Return where a hub's end is told."""
    return RecordedEndings()


@pytest.fixture
async def hub(
    stream: StreamServer, bus: EventBus, ends: RecordedEndings
) -> AsyncIterator[EventHub]:
    """Open a hub on the quiet bus."""
    assert bus.subscriber_count == 0
    opened = EventHub(stream.services, StreamLimits(bus=4), ends.said.put_nowait)
    await opened.open()
    yield opened
    await opened.close()


def begun(stream: StreamServer, hub: EventHub, line: FakeWriteTransport) -> asyncio.Task[None]:
    """Begin a stream on a line; return its writing task."""
    listener = ClientQueue(line, line.drained, 4)
    ClientStream(stream.services, hub, listener, ALL_SCOPES).start(SubscriptionRequest())
    return asyncio.create_task(listener.run_writer())


async def said(line: FakeWriteTransport, kind: str) -> dict[str, Any]:
    """Return the first frame of a kind once it is there."""
    async with asyncio.timeout(10):
        while True:
            for frame in line.frames():
                if frame["frame"] == kind:
                    return frame
            await asyncio.sleep(0.005)


async def test_a_snapshot_ahead_of_the_news_waits_for_them(
    stream: StreamServer, hub: EventHub, bus: EventBus
) -> None:
    """What the snapshot has in it already is not told again when the bus brings it."""
    before = hub.seq
    happened = [stream.build_halt_event("one"), stream.build_halt_event("two")]
    await stream.commit_events(*happened)
    line = FakeWriteTransport()
    writing = begun(stream, hub, line)
    assert (await said(line, "snapshot"))["seq"] == before + 2
    for seq, event in enumerate(happened, before + 1):
        bus.publish(event, seq)
    assert (await said(line, "subscribed"))["through_seq"] == before + 2
    assert [frame["frame"] for frame in line.frames()] == ["hello", "snapshot", "subscribed"]
    writing.cancel()


async def test_what_happens_while_the_lost_is_looked_up_is_not_told_twice(
    stream: StreamServer, hub: EventHub, bus: EventBus
) -> None:
    """Events that both the log and the bus bring are told once."""
    line = FakeWriteTransport()
    writing = begun(stream, hub, line)
    start = (await said(line, "subscribed"))["through_seq"]
    happened = [stream.build_halt_event(str(index)) for index in range(9)]
    await stream.commit_events(*happened)
    for seq, event in enumerate(happened[:5], start + 1):
        bus.publish(event, seq)
    assert bus.subscriber_count == 0, "five are more than the bus holds"
    while not bus.subscriber_count:  # noqa: ASYNC110 - the bus tells nobody
        await asyncio.sleep(0)
    for seq, event in enumerate(happened[5:8], start + 6):
        bus.publish(event, seq)
    await asyncio.wait_for(hub.wait_for_seq(start + 9), 10)
    bus.publish(stream.build_halt_event("last"), start + 10)
    await asyncio.wait_for(hub.wait_for_seq(start + 10), 10)
    told = [frame["seq"] for frame in line.frames() if frame["frame"] == "event"]
    assert told == list(range(start + 1, start + 11))
    writing.cancel()


async def test_what_bus_and_log_both_lost_ends_the_stream(
    stream: StreamServer, hub: EventHub, bus: EventBus, ends: RecordedEndings
) -> None:
    """Nobody is told less than everything: they are told to come back, and then why."""
    before = hub.seq
    await stream.commit_halts(20)
    horizon = stream.services.clock.now().replace(year=2030)
    await stream.services.database.write(lambda tx: event_log.trim_events(tx, horizon, 1_000))
    for index in range(20):
        bus.publish(stream.build_halt_event("x"), before + 1 + index)
    assert await ends.next() == CLOSE_RESTARTING
    assert not hub.is_alive


async def test_an_event_that_can_not_be_told_is_our_fault_and_logged(
    stream: StreamServer, hub: EventHub, bus: EventBus, ends: RecordedEndings
) -> None:
    """Listeners get 1011, and the log says where."""
    line = FakeWriteTransport()
    writing = begun(stream, hub, line)
    await said(line, "subscribed")
    with capture_logs() as logged:
        bus.publish(
            UnserialisableEvent(subject="x", at=stream.services.clock.now(), thing=object()), None
        )
        assert await ends.next() == CLOSE_INTERNAL_ERROR
    assert [each["event"] for each in logged] == ["stream_failed"]
    writing.cancel()


async def test_a_burst_larger_than_a_batch_is_told_whole(
    stream: StreamServer, hub: EventHub, bus: EventBus
) -> None:
    """Pieces follow each other, and what overflowed the bus is found in the log."""
    line = FakeWriteTransport()
    writing = begun(stream, hub, line)
    start = (await said(line, "subscribed"))["through_seq"]
    happened = [stream.build_halt_event(str(index)) for index in range(300)]
    await stream.commit_events(*happened)
    for seq, event in enumerate(happened, start + 1):
        bus.publish(event, seq)
    await asyncio.wait_for(hub.wait_for_seq(start + 300), 10)
    told = [frame["seq"] for frame in line.frames() if frame["frame"] == "event"]
    assert told == list(range(start + 1, start + 301))
    writing.cancel()


async def test_a_full_line_holds_its_own_frames_back(stream: StreamServer) -> None:
    """They go out in order when there is room; one more than the limit ends the listener."""
    line = FakeWriteTransport()
    listener = ClientQueue(line, line.drained, limit=4)
    writing = asyncio.create_task(listener.run_writer())
    frames = [encode_frame({"frame": str(index)}) for index in range(9)]
    line.full = True
    line.room.clear()
    for frame in frames[:3]:
        listener.enqueue(frame)
    line.full = False
    listener.enqueue(frames[3])
    assert not line.said, "nothing overtakes what waits"
    line.room.set()
    await asyncio.wait_for(listener.drain(), 10)
    assert bytes(line.said) == b"".join(frames[:4])
    line.full = True
    line.room.clear()
    for frame in frames[4:]:
        listener.enqueue(frame)
    assert listener.ended.result() == CLOSE_TOO_SLOW
    listener.enqueue(frames[0])
    listener.close_with(CLOSE_INTERNAL_ERROR)
    assert listener.ended.result() == CLOSE_TOO_SLOW, "the first reason counts"
    writing.cancel()
    assert stream.registry.connected == 0


def test_frames_of_every_length_are_framed_as_the_standard_says() -> None:
    """Three ways to write a length: in one byte, in two, in eight."""
    line = FakeWriteTransport()
    texts = ["", "x" * 100, "x" * 1_000, "x" * 70_000]
    for text in texts:
        line.write(encode_frame({"frame": text}))
    assert [frame["frame"] for frame in line.frames()] == texts


def test_a_message_with_a_token_does_not_show_it() -> None:
    """Not even to whoever prints it."""
    message = parse_client_frame('{"frame":"sign_in","token":"secret"}')
    assert "secret" not in repr(message)


async def test_what_an_older_version_stored_is_told_in_its_words(
    stream: StreamServer, token: str
) -> None:
    """A stored event that no class fits any more is told as it stands in the log."""
    start, epoch = await stream.services.database.high_water(), stream.services.database.epoch
    at = stream.services.clock.now()
    old = NoteAdded("installation", at, type="sending.halted", data={"by": "ana"})
    await stream.services.database.write(lambda tx: tx.emit(old))
    async with stream.connect(token, f"?after={start}&epoch={epoch}") as client:
        (event,) = await client.read_events(1)
    assert event["data"] == {"by": "ana"}
