"""The daemon's end of one worker: starts it, sends requests, reads signals, and watches it."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from daemon.api.launcher import Worker
from daemon.api.signals import Signal
from daemon.api.transport import CannotOpen, OpenContext
from daemon.linked_worker.protocol import (
    PROTOCOL_VERSION,
    AcknowledgeSignal,
    Hello,
    LinkedAnswer,
    LinkedEvent,
    LinkedRequest,
    SignalReport,
    WorkerUnavailable,
    build_protocol,
    decode_signal,
)
from daemon.plugins.transport_linked.options import LinkedOptions
from daemon.worker_protocol import (
    HEARTBEAT_SECONDS,
    Answer,
    Crash,
    End,
    Event,
    Frame,
    Heartbeat,
    Progress,
    Request,
    WorkerFailed,
    encode_frame,
)

WORKER_MODULE: Final = "daemon.linked_worker"
HELLO_SECONDS: Final = 40.0
"""How long a worker may take to load its library, on a busy machine."""
_MAX_SIGNALS: Final = 1000
_WRITE_SECONDS: Final = 5.0
_ORDERLY_SECONDS: Final = 0.5


class NotAsked(WorkerFailed):
    """The worker had ended before the request was written, so nothing was done."""


class WorkerBusy(NotAsked):
    """The worker was still busy with the request before, so nothing was done."""


class WorkerClient:
    """A running worker. It has one request at a time; signals are queued."""

    def __init__(self, worker: Worker, options: LinkedOptions) -> None:
        self._worker = worker
        self._options = options
        self._protocol = build_protocol()
        self._numbers = count(1)
        self._answers: dict[int, list[LinkedAnswer]] = {}
        self._pending: dict[int, asyncio.Future[list[LinkedAnswer]]] = {}
        self._turn = asyncio.Lock()
        self._first: asyncio.Future[LinkedEvent] = asyncio.get_running_loop().create_future()
        self._signals: asyncio.Queue[tuple[Signal, int]] = asyncio.Queue(_MAX_SIGNALS)
        self._taken = 0
        """The number of the signal that was returned last; 0 where it has none."""
        self.failure = ""
        """Why it ended, as the end of a sentence; empty where it was closed by us."""
        self._reading = asyncio.create_task(self._read(), name=f"linked worker {worker.pid}")

    async def wait_for_hello(self) -> Hello:
        """Return its first event; raise :class:`CannotOpen` where it can't serve.

        Raises :class:`WorkerFailed` where it ended without a reason.
        """
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                # Shielded: a timeout cancels the wait, and must not cancel the future.
                first = await asyncio.shield(self._first)
        except TimeoutError:
            raise WorkerFailed(f"was not ready after {HELLO_SECONDS:g} s") from None
        if isinstance(first, WorkerUnavailable):
            raise CannotOpen(first.sentence, retryable=first.retryable)
        if not isinstance(first, Hello) or first.protocol != PROTOCOL_VERSION:
            raise CannotOpen(
                "The worker of the linked device is of another version of LeadMaster;"
                " restart the daemon."
            )
        return first

    async def ask(
        self, request: LinkedRequest, *, busy_timeout: float | None = None
    ) -> list[LinkedAnswer]:
        """Return the answers to a request, which is written once those before it are answered.

        Raises :class:`WorkerBusy` where its turn does not come in time, :class:`NotAsked` where the
        worker ended before, and :class:`WorkerFailed` where it ended before it had answered.
        """
        # Not written while the worker is busy: what it has taken it carries out, be it a minute
        # after its caller gave up.
        await self._take_turn(busy_timeout)
        if self._reading.done():
            self._turn.release()
            raise NotAsked(self.failure or "was closed")
        number, answer = self._expect_answer()
        try:
            self._worker.writer.write(encode_frame(Request(request, number)))
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._worker.writer.drain()
            # Shielded: the turn ends with the worker's answer, not with its caller's patience.
            return await asyncio.shield(answer)
        except (ConnectionError, TimeoutError):
            raise WorkerFailed("takes no requests any more") from None

    async def _take_turn(self, busy_timeout: float | None) -> None:
        try:
            async with asyncio.timeout(busy_timeout):
                await self._turn.acquire()
        except TimeoutError:
            raise WorkerBusy("is still busy with the call before") from None

    def _expect_answer(self) -> tuple[int, asyncio.Future[list[LinkedAnswer]]]:
        """Return the number of a request and its future answer, with which its turn ends."""
        number = next(self._numbers)
        answer: asyncio.Future[list[LinkedAnswer]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer

        def end_turn(ended: asyncio.Future[list[LinkedAnswer]]) -> None:
            del self._pending[number]
            self._answers.pop(number, None)
            ended.exception()  # read, or asyncio reports it as never retrieved
            self._turn.release()

        answer.add_done_callback(end_turn)
        return number, answer

    async def next_signal(self) -> Signal | None:
        """Return the next signal, or None once the worker has ended and all were taken.

        Call it only when the signal before is stored: it is acknowledged to the worker.
        """
        self._acknowledge_taken()
        taking = asyncio.create_task(self._signals.get())
        try:
            await asyncio.wait({taking, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not taking.done():
                taking.cancel()
        if not taking.done():
            return None
        signal, self._taken = taking.result()
        return signal

    def _acknowledge_taken(self) -> None:
        taken, self._taken = self._taken, 0
        # A worker that has ended left it to the next one, and the daemon knows it by its id.
        if taken and not self._reading.done():
            self._worker.writer.write(encode_frame(Request(AcknowledgeSignal(taken), 0)))

    async def close(self) -> None:
        """End the worker: it ends by itself when its socket does, or is killed. Idempotent."""
        # The other direction stays open: its end is the worker's own.
        with contextlib.suppress(OSError):
            self._worker.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ORDERLY_SECONDS):
                await self._worker.wait()
        await self._worker.close()
        self._reading.cancel()
        await asyncio.wait({self._reading})

    # Reading.

    async def _read(self) -> None:
        try:
            while True:
                await self._take_frame(await self._read_frame())
        except WorkerFailed as failed:
            self.failure = str(failed)
        except asyncio.CancelledError:
            self.failure = "was closed"
            raise
        finally:
            self._end()

    async def _read_frame(self) -> Frame[LinkedAnswer, None, LinkedEvent]:
        # Until the first event, the worker is loading its library.
        limit = self._options.heartbeat_timeout if self._first.done() else HELLO_SECONDS
        try:
            async with asyncio.timeout(limit):
                line = await self._worker.reader.readline()
        except TimeoutError:
            raise WorkerFailed(f"was silent for {limit:g} s") from None
        except (ValueError, ConnectionError) as error:
            raise WorkerFailed(f"broke the protocol ({type(error).__name__})") from None
        if not line.endswith(b"\n"):
            raise WorkerFailed("ended")
        try:
            return self._protocol.decode_frame(line)
        except msgspec.MsgspecError:
            raise WorkerFailed("sent what is no frame") from None

    async def _take_frame(self, frame: Frame[LinkedAnswer, None, LinkedEvent]) -> None:
        match frame:
            case Heartbeat():
                self._check_memory()
            case Event(body):
                await self._take_event(body)
            case Answer(body, request):
                if request in self._pending:
                    self._answers.setdefault(request, []).append(body)
            case End(request):
                future = self._pending.get(request)
                if future is not None and not future.done():
                    future.set_result(self._answers.get(request, []))
            case Crash(reason):
                raise WorkerFailed(f"failed: {reason}")
            case Progress():
                raise WorkerFailed("sent what is no frame")

    async def _take_event(self, event: LinkedEvent) -> None:
        if not self._first.done():
            self._first.set_result(event)
        if isinstance(event, SignalReport):
            try:
                await self._signals.put((decode_signal(event), event.number))
            except msgspec.MsgspecError:
                raise WorkerFailed(f"reported a {event.name} that can't be read") from None

    def _check_memory(self) -> None:
        # At each heartbeat, which is often enough for a leak.
        used = read_memory_mb(self._worker.pid)
        if used > self._options.memory_limit_mb:
            limit = self._options.memory_limit_mb
            raise WorkerFailed(f"used {used:.0f} MB of memory; the limit is {limit:g}")

    def _end(self) -> None:
        """Fail the pending requests, since no answer can come any more."""
        failed = WorkerFailed(self.failure)
        for future in self._pending.values():
            if not future.done():
                future.set_exception(failed)
        if not self._first.done():
            self._first.set_exception(failed)
        if not self._first.cancelled():
            self._first.exception()  # read, or asyncio reports it as never retrieved


def read_memory_mb(pid: int | None) -> float:
    """Return a process's resident memory in MB; 0 where it is unknown."""
    if pid is None:
        return 0.0
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) / 1024
    return 0.0


async def start_worker(context: OpenContext, options: LinkedOptions) -> WorkerClient:
    """Start the worker of a session; return it once it is ready.

    Raises :class:`CannotOpen` where a person has to do something first.
    """
    session = context.session
    # In a thread: the first use of the key loads its library.
    key = await asyncio.to_thread(lambda: context.verifier.public_key)
    arguments = [
        *("--driver", options.driver),
        *("--session", session.name),
        *("--permit-key", key.public_bytes_raw().hex()),
        *("--heartbeat", str(min(HEARTBEAT_SECONDS, options.heartbeat_timeout / 3))),
    ]
    if options.trace:
        arguments.append("--trace")
    if options.worker_socket is None:
        # A unit has a folder of its own, and takes no other.
        arguments += ["--folder", str(session.folder)]
    try:
        worker = await context.launch(WORKER_MODULE, arguments, socket=options.worker_socket)
    except OSError as error:
        if options.worker_socket is None:
            raise
        raise CannotOpen(
            f"Nobody listens at {options.worker_socket} ({error.strerror}): start the socket unit"
            " of this session's worker."
        ) from None
    client = WorkerClient(worker, options)
    try:
        await client.wait_for_hello()
    except BaseException:
        await client.close()
        raise
    return client
