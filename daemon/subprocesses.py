"""Starts every child process: Ctrl-C does not reach it, and it never outlives its parent.

Each child has a session of its own, so that the signals of a terminal reach the parent alone.
The kernel ends the child when the parent dies (:mod:`daemon.parent_death_signal`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, cast

from msgspec import Struct

WORKER_FD_VARIABLE: Final = "LEADMASTER_WORKER_FD"
"""The environment variable in which a worker finds the descriptor of its socket."""

WORKER_LINE_BYTES: Final = 1 << 20
"""A longer line is a fault of the worker, not a message."""
_CLOSE_SECONDS: Final = 5.0
_PARENT_DEATH_PROGRAM: Final = Path(__file__).with_name("parent_death_signal.py")


class WorkerProcess(Struct, frozen=True):
    """A child process that takes one request and answers it in lines."""

    _requests: asyncio.StreamWriter
    _answers: asyncio.StreamReader

    async def send_request(self, request: bytes) -> None:
        """Write the request. A child that died meanwhile is noticed when no answer can be read."""
        with contextlib.suppress(ConnectionError):
            self._requests.write(request)
            await self._requests.drain()
            self._requests.close()

    async def read_line(self) -> bytes:
        """Return the next line; without a line break at its end where the child has ended."""
        return await self._answers.readline()


@contextlib.asynccontextmanager
async def run_worker(command: Sequence[str], max_line_bytes: int) -> AsyncIterator[WorkerProcess]:
    """Run a child for the length of the block; then kill it and every process that it started."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(max_line_bytes, loop),
        *with_parent_death_signal(command, signal.SIGKILL),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        start_new_session=True,
    )
    process = Process(transport, protocol, loop)
    try:
        yield WorkerProcess(  # both were asked for as pipes
            cast("asyncio.StreamWriter", process.stdin),
            cast("asyncio.StreamReader", process.stdout),
        )
    finally:
        # Killed, not asked: such a child writes nothing that could be left half done. A group keeps
        # its number while a process is in it, so this can't hit a foreign one.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await _close_pipes_and_wait(process, transport)


class LaunchedWorker:
    """A running worker process of a transport, connected by a socket pair."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, process: Process
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._process = process
        self._ending = asyncio.create_task(self._await_end(), name=f"worker {process.pid}")

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit status once the worker has ended; negative for a signal."""
        return await asyncio.shield(self._ending)

    async def close(self) -> None:
        """Kill the worker and every process that it started. Idempotent, bounded, never raises."""
        self.writer.close()
        if not self._ending.done():
            self._kill_group()
        # A killed process ends unless the kernel holds it; the daemon does not wait for that.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.wait()
                await self.writer.wait_closed()

    async def _await_end(self) -> int:
        status = await self._process.wait()
        # At once, and never later: the number of a group that has gone is used again.
        self._kill_group()
        return status

    def _kill_group(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)


async def start_worker_process(
    module: str, arguments: Sequence[str] = (), *, environment: Mapping[str, str] | None = None
) -> LaunchedWorker:
    """Start ``python -m module`` as a child; see :class:`daemon.api.launcher.LaunchWorker`."""
    ours, theirs = socket.socketpair()
    with theirs:
        # Connected before the process starts: after that, nothing can fail and leave it running.
        reader, writer = await _connect_socket(ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *with_parent_death_signal(
                    [sys.executable, "-m", module, *arguments], signal.SIGKILL
                ),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **(environment or {}), WORKER_FD_VARIABLE: str(theirs.fileno())},
            )
        except BaseException:
            writer.close()
            raise
    return LaunchedWorker(reader, writer, process)


async def _connect_socket(ours: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the streams of our end; it is closed where that fails."""
    try:
        return await asyncio.open_connection(sock=ours, limit=WORKER_LINE_BYTES)
    except BaseException:
        ours.close()
        raise


async def _close_pipes_and_wait(process: Process, transport: asyncio.SubprocessTransport) -> None:
    """Close the pipes of a child that was killed, and wait for its end."""
    # asyncio reports the end only after the pipes' end, which unread output would delay for ever.
    for descriptor in (0, 1):
        if pipe := transport.get_pipe_transport(descriptor):
            pipe.close()
    await process.wait()
    await asyncio.sleep(0)  # the pipes close in the next turn of the loop


@contextlib.contextmanager
def run_daemon(
    command: Sequence[str],
    output: IO[bytes],
    stop_seconds: float,
    variables: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon for the length of the block; then ask it to end, and kill it after so long.

    ``variables`` are added to its environment.
    """
    process = subprocess.Popen(  # noqa: S603 - whoever calls this says what to start
        with_parent_death_signal(command, signal.SIGTERM),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        env={**os.environ, **(variables or {})},
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            try:
                process.wait(stop_seconds)
            finally:  # also after a second Ctrl-C: whoever presses it twice does not want to wait
                if process.poll() is None:
                    process.kill()
                    process.wait()


def run_command(command: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Return how a command ended and its output; raises what :func:`subprocess.run` raises."""
    return subprocess.run(  # noqa: S603 - whoever calls this says what to start
        with_parent_death_signal(command, signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        start_new_session=True,
    )


def with_parent_death_signal(command: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """Return the command line that gets `death_signal` when this process dies.

    Start it from the main thread: to the kernel, the parent is the thread that started the child.
    """
    # A program and not preexec_fn, which is not safe in a process with threads.
    python = (sys.executable, "-I", "-S", os.fspath(_PARENT_DEATH_PROGRAM))
    return [*python, str(os.getpid()), str(death_signal.value), *command]
