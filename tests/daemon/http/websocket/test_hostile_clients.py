"""Whatever a client says: an answer or a close, never a fault, and nobody else hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from daemon.http.websocket.client import MAX_MESSAGE_BYTES, MAX_MISTAKES
from tests.helpers.client.raw_bytes import (
    BINARY,
    CLOSE,
    TEXT,
    RawSocket,
    mask_frame,
    open_raw_socket,
)
from tests.helpers.client.websocket import StreamServer, open_stream_server, sequence_numbers
from tests.helpers.hypothesis_profiles import examples

pytestmark = pytest.mark.slow

ANSWERS = {"error", "subscribed", "snapshot", "resync_required", "event"}
ONE_HOUSE = examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
fields = st.sampled_from(["frame", "topics", "sessions", "after", "epoch", "token"])
nearly = st.dictionaries(fields, values, max_size=6).map(
    lambda given: {"frame": "subscribe", **given}
)
said = st.one_of(
    st.text(max_size=200).map(str.encode),
    st.binary(max_size=200),
    values.map(json.dumps).map(str.encode),
    nearly.map(json.dumps).map(str.encode),
)


class SharedStreamServer:
    """A stream that outlives the examples of a property, on a loop of its own."""

    def __init__(self, runner: asyncio.Runner, stream: StreamServer, token: str) -> None:
        self.runner = runner
        self.stream = stream
        self.token = token

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[RawSocket]:
        """Connect by hand and wait until the stream is live."""
        offer = f"Sec-WebSocket-Protocol: leadmaster.v1, leadmaster.token.{self.token}"
        async with open_raw_socket(f"{self.stream.base}/v1/events", [offer]) as line:
            await line.read_until("subscribed")
            yield line

    async def serves_others(self) -> None:
        """Fail unless a stranger to all this gets a whole stream."""
        async with self.stream.subscribe(self.token) as client:
            start = await self.stream.services.database.high_water()
            await self.stream.commit_halts()
            assert sequence_numbers(await client.read_events(1)) == [start + 1]


@pytest.fixture
def loop(short_folder: Path) -> Iterator[SharedStreamServer]:
    """Open a stream for many examples."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        stream = runner.run(stack.enter_async_context(open_stream_server(short_folder)))
        yield SharedStreamServer(runner, stream, runner.run(stream.create_token()))
        runner.run(stack.aclose())


def test_any_message_is_answered_or_closes_with_a_code(loop: SharedStreamServer) -> None:
    """Text that is no JSON, JSON that is no message, bytes that are no text: never a fault."""

    async def one(payload: bytes, opcode: int) -> None:
        async with loop.line() as line:
            line.writer.write(mask_frame(payload, opcode))
            kind, answer = await line.read_frame()
            if kind == CLOSE:
                assert int.from_bytes(answer[:2], "big") == 1007, "not UTF-8"
            else:
                assert json.loads(answer)["frame"] in ANSWERS

    @ONE_HOUSE
    @given(said, st.sampled_from([TEXT, BINARY]))
    def any_message(payload: bytes, opcode: int) -> None:
        loop.runner.run(one(payload, opcode))

    with capture_logs() as logged:
        any_message()
    loop.runner.run(loop.serves_others())
    assert logged == []


def test_any_bytes_at_all_end_one_connection_at_most(loop: SharedStreamServer) -> None:
    """Broken frames of every kind, also in the middle of one."""

    async def one(noise: bytes) -> None:
        async with loop.line() as line:
            line.writer.write(noise)
            line.writer.write_eof()
            await line.read_close()  # fails where no end comes

    @ONE_HOUSE
    @given(st.binary(max_size=300) | said.map(lambda payload: mask_frame(payload, claimed=9)))
    def any_bytes(noise: bytes) -> None:
        loop.runner.run(one(noise))

    with capture_logs() as logged:
        any_bytes()
    loop.runner.run(loop.serves_others())
    assert logged == []


async def test_a_message_that_is_too_long_closes_with_1009(
    stream: StreamServer, token: str
) -> None:
    """It is not even taken in whole."""
    async with stream.connect_unread(token) as line:
        line.writer.write(mask_frame(b" " * (MAX_MESSAGE_BYTES + 1)))
        assert (await line.read_close())[0] == 1009
    async with stream.connect_unread(token) as line:
        line.writer.write(mask_frame(b"", claimed=2**40))
        assert (await line.read_close())[0] == 1009


async def test_the_longest_message_is_answered(stream: StreamServer, token: str) -> None:
    """Up to the limit a message is read, and refused for what it says."""
    async with stream.connect_unread(token) as line:
        line.writer.write(mask_frame(b" " * (MAX_MESSAGE_BYTES - 1)))
        assert (await line.read_until("error"))[-1]["code"] == "bad_request"


async def test_too_many_mistakes_close_with_1008(stream: StreamServer, token: str) -> None:
    """Each is answered with a sentence and a hint; then it is enough."""
    async with stream.subscribe(token) as client:
        for _ in range(MAX_MISTAKES + 1):
            await client.send_frame("nonsense")
        code, frames = await client.read_close()
    assert code == 1008
    assert len(frames) == MAX_MISTAKES + 1
    assert all(frame["sentence"] and frame["hint"] for frame in frames)


async def test_nobody_signs_in_twice(stream: StreamServer, token: str) -> None:
    """Whoever is known stays who it is."""
    async with stream.subscribe(token) as client:
        await client.send_frame("sign_in", token=token)
        error: dict[str, Any] = await client.read_frame()
    assert error["sentence"] == "You have signed in already."


async def test_many_changes_of_mind_are_done_one_after_the_other(
    stream: StreamServer, token: str
) -> None:
    """A client that asks faster than it can be served gets every answer, in order."""
    names = [f"s{index}" for index in range(40)]
    async with stream.subscribe(token) as client:
        for name in names:
            await client.send_frame("subscribe", sessions=[name])
        answers = [(await client.read_until("subscribed"))[-1]["sessions"] for _ in names]
    assert answers == [[name] for name in names]
