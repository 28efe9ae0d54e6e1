"""The worker protocol: frames, the parent's side, the worker's side, and a whole process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import daemon.backtest.process
import daemon.contacts.imports.process
import daemon.rulesets.check_process
from daemon import subprocesses
from daemon.worker_protocol import (
    Answer,
    Crash,
    End,
    Event,
    Frame,
    FrameWriter,
    Heartbeat,
    Message,
    Progress,
    Request,
    WorkerFailed,
    WorkerProtocol,
    ask_worker,
    encode_frame,
    serve_requests,
)

PHONE = "+5491145550001"


class Sum(msgspec.Struct, frozen=True, tag="sum"):
    """One kind of answer."""

    value: int


class Note(msgspec.Struct, frozen=True, tag="note"):
    """Another kind of answer."""

    text: str


SumFrame: TypeAlias = Frame[Sum | Note, str, int]
LIMIT: Final = 2**20
PROTOCOL: Final[WorkerProtocol[tuple[int, ...], Sum | Note, str, int]] = WorkerProtocol(
    request=tuple[int, ...], answer=Sum | Note, progress=str, event=int, max_line_bytes=LIMIT
)
ANSWERS_ONLY: Final[WorkerProtocol[str, str, str, str]] = WorkerProtocol(
    request=str, answer=str, max_line_bytes=LIMIT
)
NUMBERS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
FRAMES = st.one_of(
    st.builds(Answer, st.builds(Sum, NUMBERS) | st.builds(Note, st.text()), NUMBERS),
    st.builds(Progress, st.text(), NUMBERS),
    st.builds(Event, NUMBERS),
    st.just(Heartbeat()),
    st.builds(End, NUMBERS),
    st.builds(Crash, st.text()),
)


@given(FRAMES)
def test_a_frame_comes_back_as_it_was_sent(frame: SumFrame) -> None:
    """On one line, whatever is in it."""
    line = encode_frame(frame)
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert PROTOCOL.decode_frame(line) == frame


@given(st.lists(NUMBERS).map(tuple), NUMBERS)
def test_a_request_comes_back_as_it_was_sent(body: tuple[int, ...], number: int) -> None:
    """With its id."""
    request = Request(body, number)
    assert PROTOCOL.decode_request(encode_frame(request)) == request


@given(st.binary() | st.text().map(str.encode))
def test_any_line_is_a_frame_or_is_refused(line: bytes) -> None:
    """No other error comes of it."""
    with contextlib.suppress(msgspec.MsgspecError):
        assert isinstance(PROTOCOL.decode_frame(line), msgspec.Struct)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "gossip", "body": 1}',
        b'{"body": 1}',
        b'{"kind": "answer", "body": {"type": "sum"}}',
        b'{"kind": "answer", "body": {"type": "product", "value": 1}}',
        b'{"kind": "progress", "body": 1}',
        b'{"kind": "request", "body": [1]}',
        b'{"kind": "heartbeat", "more": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_frame_of_this_worker_is_refused(line: bytes) -> None:
    """An unknown kind, a body of another type, brackets without end."""
    with pytest.raises(msgspec.MsgspecError):
        PROTOCOL.decode_frame(line)


@pytest.mark.parametrize("frame", [Progress("half"), Event("bell")])
def test_a_kind_without_a_type_is_refused(frame: Progress[str] | Event[str]) -> None:
    """A worker that was promised no progress shows none."""
    assert ANSWERS_ONLY.decode_frame(encode_frame(Answer("done"))) == Answer("done")
    with pytest.raises(msgspec.MsgspecError):
        ANSWERS_ONLY.decode_frame(encode_frame(frame))


@dataclass
class Pipes:
    """The pipes of a worker that has said this, and that may still say more."""

    reader: asyncio.StreamReader
    asked: bytes = b""

    async def send_request(self, request: bytes) -> None:
        """Note what was asked."""
        self.asked += request

    async def read_line(self) -> bytes:
        """Return the next line."""
        return await self.reader.readline()


def pipes(*said: SumFrame | bytes, ended: bool = True) -> Pipes:
    """Return the pipes of a worker that has written this, and has ended."""
    reader = asyncio.StreamReader(LIMIT)
    reader.feed_data(b"".join(x if isinstance(x, bytes) else encode_frame(x) for x in said))
    if ended:
        reader.feed_eof()
    return Pipes(reader)


async def ask(
    worker: Pipes, *, silence: float = 60, stall: float | None = None
) -> Sequence[Message[Sum | Note, str, int]]:
    """Return all that a worker says."""
    messages = ask_worker(PROTOCOL, worker, (1, 2), silence_seconds=silence, stall_seconds=stall)
    return [message async for message in messages]


async def test_messages_come_in_order_until_the_end() -> None:
    """Heartbeats are not shown; what comes after the end is not read."""
    said: list[Message[Sum | Note, str, int]] = [
        Event(7),
        Progress("half"),
        Answer(Note("two")),
        Answer(Sum(3)),
    ]
    worker = pipes(Heartbeat(), *said[:2], Heartbeat(), *said[2:], End(), b"nonsense")
    assert await ask(worker) == said
    assert PROTOCOL.decode_request(worker.asked) == Request((1, 2))


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        ((), "ended before it had answered in full"),
        ((Answer(Sum(3)),), "ended before it had answered in full"),
        ((Answer(Sum(3)), b'{"kind": "e'), "ended before it had answered in full"),
        ((b'{"kind": "gossip"}\n', End()), "answered something that is no answer"),
        ((b"\n", End()), "answered something that is no answer"),
        ((Answer(Sum(3), request=2), End()), "answered what it was not asked"),
        ((End(2),), "answered what it was not asked"),
        ((b"x" * (LIMIT + 1) + b"\n", End()), "answered with a line of more than 1 MiB"),
        ((b"x" * 3 * LIMIT,), "answered with a line of more than 1 MiB"),
        ((Answer(Sum(3)), Crash("KeyError at sums.py:9")), "failed; the log says where"),
    ],
)
async def test_an_answer_that_is_not_whole_is_a_sentence(
    said: Sequence[SumFrame | bytes], failure: str
) -> None:
    """Death, a torn line, nonsense, a stranger's answer, a line without end, a crash."""
    with pytest.raises(WorkerFailed) as caught:
        await ask(pipes(*said))
    assert str(caught.value) == failure


async def test_silence_is_not_waited_for() -> None:
    """Whatever came before."""
    with pytest.raises(WorkerFailed, match=r"^said nothing for 0\.05 s$"):
        await ask(pipes(Answer(Sum(3)), ended=False), silence=0.05)


async def test_a_heartbeat_breaks_the_silence_and_is_no_progress() -> None:
    """A worker that is alive is waited for until it has stalled for too long."""
    worker = pipes(ended=False)

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.02)
            worker.reader.feed_data(encode_frame(Heartbeat()))

    beats = asyncio.create_task(beat())
    with pytest.raises(WorkerFailed, match=r"^has come no further for 0\.5 s$"):
        await ask(worker, silence=0.2, stall=0.5)
    beats.cancel()


def add(numbers: tuple[int, ...], writer: FrameWriter[Sum | Note, str, int]) -> None:
    """Answer a request for a sum, with all kinds of messages; a hundred is too much."""
    writer.send(Event(len(numbers)))
    writer.send_progress("adding")
    writer.send_answer(Sum(sum(numbers)))
    if 100 in numbers:
        raise ValueError(f"Too much for {PHONE}")
    time.sleep(max(numbers) / 100)


def serve(*requests: bytes, heartbeat_seconds: float = 60) -> Sequence[SumFrame]:
    """Return what the worker's side answers."""
    output = io.BytesIO()
    with contextlib.suppress(ValueError):
        serve_requests(
            PROTOCOL,
            add,
            io.BytesIO(b"".join(requests)),
            output,
            heartbeat_seconds=heartbeat_seconds,
        )
    return [PROTOCOL.decode_frame(line) for line in output.getvalue().splitlines()]


def test_a_worker_answers_each_request_by_its_id() -> None:
    """Until there are no more."""
    assert serve(encode_frame(Request((1, 2), 7)), encode_frame(Request((5,), 8))) == [
        Event(2),
        Progress("adding", 7),
        Answer(Sum(3), 7),
        End(7),
        Event(1),
        Progress("adding", 8),
        Answer(Sum(5), 8),
        End(8),
    ]
    assert serve() == []


def test_a_worker_that_works_sends_heartbeats() -> None:
    """Whole frames between its own, and none any more when it has answered."""
    frames = serve(encode_frame(Request((20,))), heartbeat_seconds=0.02)
    assert frames.count(Heartbeat()) >= 2
    assert frames[-1] == End()


def test_a_defect_is_told_without_its_text() -> None:
    """Its kind and its place; a number or a message that it holds stays where it was."""
    *_, last = serve(encode_frame(Request((100,))), encode_frame(Request((1,))))
    assert isinstance(last, Crash)
    assert last.reason.startswith("ValueError at test_worker_protocol.py:")
    assert PHONE not in last.reason
    [refused] = serve(b'{"kind": "request", "body": ["%s"]}\n' % PHONE.encode())
    assert isinstance(refused, Crash)
    assert refused.reason.startswith("ValidationError at worker_protocol.py:")


WORKER = """
import os, subprocess, sys
from daemon.worker_protocol import WorkerProtocol, serve_requests, take_standard_streams
protocol = WorkerProtocol(request=str, answer=str, max_line_bytes=4096)

def handle(request, writer):
    print("printed")
    os.write(1, b"written")
    subprocess.run(["echo", "said by a child"], check=True)
    assert not sys.stdin.read()
    if request == "exit":
        sys.exit("now")
    if request == "die":
        os._exit(3)
    writer.send_answer(request.upper())

serve_requests(protocol, handle, *take_standard_streams())
"""
COMMAND = (sys.executable, "-c", WORKER)


@contextlib.asynccontextmanager
async def running_worker() -> AsyncIterator[subprocesses.WorkerProcess]:
    """Run that program as every worker is run."""
    async with subprocesses.run_worker(COMMAND, LIMIT) as worker:
        yield worker


@pytest.mark.parametrize(
    ("request_body", "failure", "detail"),
    [
        ("exit", "^failed; the log says where$", r"^SystemExit at <string>:\d+$"),
        ("die", "^ended before it had answered in full$", "^$"),
    ],
)
async def test_a_process_that_ends_itself_is_a_sentence(
    request_body: str, failure: str, detail: str
) -> None:
    """Whatever a plugin does in it; the defect and its place are for the log."""
    async with running_worker() as worker:
        with pytest.raises(WorkerFailed, match=failure) as caught:
            await anext(ask_worker(ANSWERS_ONLY, worker, request_body))
    assert re.search(detail, caught.value.detail)


async def test_what_is_printed_in_a_process_is_no_frame() -> None:
    """Not what it prints, nor what its children print; what they read ends at once."""
    async with running_worker() as worker:
        messages = [each async for each in ask_worker(ANSWERS_ONLY, worker, "done")]
    assert messages == [Answer("DONE")]


def test_a_process_lives_for_as_many_requests_as_are_sent() -> None:
    """It ends when its input does."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin
        assert worker.stdout
        for number in (1, 2):
            worker.stdin.write(encode_frame(Request("done", number)))
            worker.stdin.flush()
            answers = [ANSWERS_ONLY.decode_frame(worker.stdout.readline()) for _ in range(2)]
            assert answers == [Answer("DONE", number), End(number)]
        worker.stdin.close()
        assert worker.stdout.read() == b""
    assert worker.returncode == 0


@pytest.mark.parametrize(
    "module",
    [
        daemon.backtest.process,
        daemon.contacts.imports.process,
        daemon.rulesets.check_process,
    ],
    ids=lambda module: str(module.__name__),
)
def test_each_worker_starts_by_the_name_that_its_command_holds(module: ModuleType) -> None:
    """The name is a text that no tool renames along; without a request it ends in peace."""
    command: tuple[str, ...] = module.WORKER_COMMAND
    assert command == (sys.executable, "-m", module.__name__)
    assert importlib.util.find_spec(command[2])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
