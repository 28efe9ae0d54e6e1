"""The protocol between the daemon and its worker processes: JSON frames, one a line.

A worker reads requests from its standard input. For each it sends answers and progress, and then
one `end`. While it works it sends heartbeats; a defect is a `crash`. A frame carries the id of its
request, so that one worker may serve many; an event belongs to no request.

This file imports the standard library and msgspec only: daemon, workers and plugins may import it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import os
import threading
import traceback
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO, Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

HEARTBEAT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 60.0
"""After so long without a frame, not even a heartbeat, a worker counts as hanging."""

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
ProgressT = TypeVar("ProgressT")
EventT = TypeVar("EventT")


class Request(msgspec.Struct, Generic[RequestT], frozen=True, tag_field="kind", tag="request"):
    """A request of the parent."""

    body: RequestT
    id: int = 1


class Answer(msgspec.Struct, Generic[AnswerT], frozen=True, tag_field="kind", tag="answer"):
    """An answer to a request, or one part of it."""

    body: AnswerT
    request: int = 1


class Progress(msgspec.Struct, Generic[ProgressT], frozen=True, tag_field="kind", tag="progress"):
    """The progress of a request."""

    body: ProgressT
    request: int = 1


class Event(msgspec.Struct, Generic[EventT], frozen=True, tag_field="kind", tag="event"):
    """Something that happened in the worker, independent of any request."""

    body: EventT


class Heartbeat(msgspec.Struct, frozen=True, tag_field="kind", tag="heartbeat"):
    """A sign that the worker is alive while it works."""


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """The end of the answers to a request."""

    request: int = 1


class Crash(msgspec.Struct, frozen=True, tag_field="kind", tag="crash"):
    """A defect that ends the worker: the class of the error, and where it was raised."""

    reason: str


class WorkerArguments(msgspec.Struct, frozen=True, tag_field="kind", tag="arguments"):
    """The command line of a worker that a service manager starts: the first line it reads."""

    module: str
    arguments: tuple[str, ...]


Message: TypeAlias = Answer[AnswerT] | Progress[ProgressT] | Event[EventT]
Frame: TypeAlias = Message[AnswerT, ProgressT, EventT] | Heartbeat | End | Crash


def encode_frame(frame: Request[Any] | Frame[Any, Any, Any] | WorkerArguments) -> bytes:
    """Return a frame as one line of JSON, with its line break."""
    return msgspec.json.encode(frame) + b"\n"


class WorkerProtocol(Generic[RequestT, AnswerT, ProgressT, EventT]):
    """The types of one worker's messages; a kind of frame without a type is refused."""

    def __init__(
        self,
        *,
        request: object,
        answer: object,
        progress: object = None,
        event: object = None,
        max_line_bytes: int,
    ) -> None:
        frame_types: list[Any] = [Heartbeat, End, Crash]
        for frame_type, body in ((Answer, answer), (Progress, progress), (Event, event)):
            if body is not None:
                frame_types.append(_set_body_type(frame_type, body))
        self._requests = msgspec.json.Decoder(_set_body_type(Request, request))
        self._frames = msgspec.json.Decoder(functools.reduce(operator.or_, frame_types))
        self.max_line_bytes = max_line_bytes

    def decode_request(self, line: bytes) -> Request[RequestT]:
        """Return the request in a line; raise :class:`msgspec.MsgspecError` where it is none."""
        request: Request[RequestT] = self._requests.decode(line)
        return request

    def decode_frame(self, line: bytes) -> Frame[AnswerT, ProgressT, EventT]:
        """Return the frame in a line; raise :class:`msgspec.MsgspecError` where it is none."""
        try:
            frame: Frame[AnswerT, ProgressT, EventT] = self._frames.decode(line)
        except RecursionError as error:  # brackets nested without end
            raise msgspec.DecodeError(str(error)) from None
        return frame


def _set_body_type(frame_type: Any, body: object) -> Any:  # noqa: ANN401 - types made at run time
    return frame_type[body]


class WorkerFailed(Exception):
    """A worker did not answer in full. The text completes a sentence that begins with its name.

    ``detail`` names the defect and its place, for the log; empty where there is none.
    """

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail


class WorkerPipes(Protocol):
    """The parent's end of a worker's pipes."""

    async def send_request(self, request: bytes) -> None:
        """Write a request, one line."""

    async def read_line(self) -> bytes:
        """Return the next line; without a line break at its end where the worker has ended.

        Raises :class:`ValueError` where the line is longer than the worker may write.
        """
        ...


async def ask_worker(
    protocol: WorkerProtocol[RequestT, AnswerT, ProgressT, EventT],
    worker: WorkerPipes,
    request: RequestT,
    *,
    silence_seconds: float = SILENCE_SECONDS,
    stall_seconds: float | None = None,
) -> AsyncGenerator[Message[AnswerT, ProgressT, EventT], None]:
    """Send a request to a worker; yield its messages until the request is answered in full.

    Raises :class:`WorkerFailed` where the worker ends before that, sends nothing for
    ``silence_seconds``, or nothing but heartbeats for ``stall_seconds``.
    """
    asked = Request(request)
    await worker.send_request(encode_frame(asked))
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                frame = await _read_until_message(protocol, worker, silence_seconds)
        except TimeoutError:
            raise WorkerFailed(f"has come no further for {stall_seconds:g} s") from None
        if not isinstance(frame, Event) and frame.request != asked.id:
            raise WorkerFailed("answered what it was not asked")
        if isinstance(frame, End):
            return
        yield frame


async def _read_until_message(
    protocol: WorkerProtocol[RequestT, AnswerT, ProgressT, EventT],
    worker: WorkerPipes,
    silence_seconds: float,
) -> Message[AnswerT, ProgressT, EventT] | End:
    """Return the next frame that is no heartbeat; raise :class:`WorkerFailed` for a crash."""
    while isinstance(frame := await _read_frame(protocol, worker, silence_seconds), Heartbeat):
        pass
    if isinstance(frame, Crash):
        raise WorkerFailed("failed; the log says where", frame.reason)
    return frame


async def _read_frame(
    protocol: WorkerProtocol[RequestT, AnswerT, ProgressT, EventT],
    worker: WorkerPipes,
    silence_seconds: float,
) -> Frame[AnswerT, ProgressT, EventT]:
    try:
        async with asyncio.timeout(silence_seconds):
            line = await worker.read_line()
    except TimeoutError:
        raise WorkerFailed(f"said nothing for {silence_seconds:g} s") from None
    except ValueError:
        size = f"{protocol.max_line_bytes / 2**20:g} MiB"
        raise WorkerFailed(f"answered with a line of more than {size}") from None
    if not line.endswith(b"\n"):
        raise WorkerFailed("ended before it had answered in full")
    try:
        return protocol.decode_frame(line)
    except msgspec.MsgspecError:
        raise WorkerFailed("answered something that is no answer") from None


class FrameWriter(Generic[AnswerT, ProgressT, EventT]):
    """Writes a worker's frames; safe to use from several threads."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._lock = threading.Lock()
        self.request = 0
        """The id of the request that is being answered."""

    def send_answer(self, body: AnswerT) -> None:
        """Send an answer, or one part of it."""
        self.send(Answer(body, self.request))

    def send_progress(self, body: ProgressT) -> None:
        """Send the progress of the request."""
        self.send(Progress(body, self.request))

    def send(self, frame: Frame[AnswerT, ProgressT, EventT]) -> None:
        """Write one frame."""
        line = encode_frame(frame)
        # The thread of the heartbeats writes too, and half a line would be no frame.
        with self._lock:
            self._output.write(line)
            self._output.flush()


def serve_requests(
    protocol: WorkerProtocol[RequestT, AnswerT, ProgressT, EventT],
    handle: Callable[[RequestT, FrameWriter[AnswerT, ProgressT, EventT]], None],
    requests: BinaryIO,
    output: BinaryIO,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> None:
    """Handle one request after the other until the input ends; a defect is reported, and raised."""
    writer: FrameWriter[AnswerT, ProgressT, EventT] = FrameWriter(output)
    for line in requests:
        with _sent_heartbeats(writer.send, heartbeat_seconds):
            try:
                request = protocol.decode_request(line)
                writer.request = request.id
                handle(request.body, writer)
            except BaseException as defect:
                writer.send(Crash(describe_defect(defect)))
                raise
        writer.send(End(request.id))


@contextlib.contextmanager
def _sent_heartbeats(send: Callable[[Heartbeat], None], seconds: float) -> Iterator[None]:
    """Send heartbeats from a thread for the length of the block."""
    ended = threading.Event()

    def send_heartbeats() -> None:
        with contextlib.suppress(OSError):  # the pipe is closed: the next answer fails by it too
            while not ended.wait(seconds):
                send(Heartbeat())

    thread = threading.Thread(target=send_heartbeats, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def describe_defect(defect: BaseException) -> str:
    """Return the class of an error and the place where it was raised, for a log."""
    # Without the error's own text, which may hold a phone number or a message.
    *_, (frame, line) = traceback.walk_tb(defect.__traceback__)
    return f"{type(defect).__name__} at {PurePath(frame.f_code.co_filename).name}:{line}"


def take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the worker's standard input and output, and replace them for the rest of the process.

    From then on, standard output goes to standard error, and standard input is empty; child
    processes inherit both.
    """
    # What a plugin or its child prints would be no frame, and what it reads would be a request.
    requests, output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, output
