"""The process's life: READY when open, STOPPING before anything closes, signals, the watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from daemon.errors import StartRefused
from daemon.runtime import EventLoopLag, Runtime
from daemon.settings import DaemonSettings, Settings


class RecordingService:
    """A service that writes down what happens to it, and can hang at either end."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.stalled: list[str] = []
        self.ready = asyncio.Event()
        self.opening = asyncio.Event()
        self.reload_allowed = asyncio.Event()
        self.hang_opening = False
        self.hang_closing = False

    async def status(self) -> str:
        """Say that all is well."""
        self.ready.set()
        return "1 of 1 sessions ready"

    async def stalls(self) -> Sequence[object]:
        """Return what hangs."""
        return self.stalled

    async def reload(self) -> None:
        """Reload when the test lets it."""
        self.calls.append("reload")
        await self.reload_allowed.wait()

    def closing(self) -> None:
        """Hear that the end begins."""
        self.calls.append("closing")

    @contextlib.asynccontextmanager
    async def open(
        self, _settings: Settings, passed: Mapping[str, int], _lag: EventLoopLag
    ) -> AsyncIterator[RecordingService]:
        """Open and close, as the runtime asks."""
        self.calls.append(f"open {dict(passed)}")
        self.opening.set()
        if self.hang_opening:
            await asyncio.Event().wait()
        try:
            yield self
        finally:
            if self.hang_closing:
                await asyncio.Event().wait()
            self.calls.append("closed")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Stand where systemd stands."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        yield receiver


async def heard(manager: socket.socket) -> str:
    """Return the next word that the daemon sends."""
    async with asyncio.timeout(5):
        return (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode()


def runtime(
    small: RecordingService, environ: Mapping[str, str] | None = None, drain: float = 5
) -> Runtime:
    """Return a runtime around the small service."""
    settings = Settings(daemon=DaemonSettings(drain_seconds=drain))
    return Runtime(settings, small.open, environ or {})


def kill(number: int) -> None:
    """Send ourselves a signal, as systemd or a terminal would."""
    os.kill(os.getpid(), number)


async def ended(life: asyncio.Task[int]) -> int:
    """Wait for the end of a life, but not for ever; return its exit status."""
    async with asyncio.timeout(5):
        return await life


async def test_ready_is_said_when_open_and_stopping_before_the_close(
    manager: socket.socket,
) -> None:
    """The service manager hears READY with a status, then STOPPING; then everything closes."""
    small = RecordingService()
    environ = {"NOTIFY_SOCKET": manager.getsockname()}
    life = asyncio.create_task(runtime(small, environ).run())
    assert await heard(manager) == "READY=1\nSTATUS=1 of 1 sessions ready"
    kill(signal.SIGTERM)
    await ended(life)
    assert await heard(manager) == "STOPPING=1"
    assert small.calls == ["open {}", "closing", "closed"]


async def test_a_hang_up_does_not_end_the_daemon() -> None:
    """SIGHUP asks for a reload; the daemon lives on."""
    small = RecordingService()
    life = asyncio.create_task(runtime(small).run())
    await small.ready.wait()
    kill(signal.SIGHUP)
    await asyncio.sleep(0.02)
    assert not life.done()
    assert small.calls.count("reload") == 1
    kill(signal.SIGINT)
    assert await ended(life) == 0


async def test_a_reload_is_reported_from_its_begin_to_its_end(manager: socket.socket) -> None:
    """`Type=notify-reload` waits for RELOADING, with the time of the signal or later, and READY."""
    small = RecordingService()
    life = asyncio.create_task(runtime(small, {"NOTIFY_SOCKET": manager.getsockname()}).run())
    ready = await heard(manager)
    signalled = time.monotonic_ns() // 1000
    kill(signal.SIGHUP)
    began = await heard(manager)
    assert began.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert signalled <= int(began.rpartition("=")[2]) <= time.monotonic_ns() // 1000
    with pytest.raises(BlockingIOError):
        manager.recv(4096)  # not before it is done
    small.reload_allowed.set()
    assert await heard(manager) == ready
    kill(signal.SIGTERM)
    assert await ended(life) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_hastens_the_end(number: signal.Signals) -> None:
    """A close that hangs is cut by asking twice; the exit status tells which signal it was."""
    small = RecordingService()
    small.hang_closing = True
    life = asyncio.create_task(runtime(small).run())
    await small.ready.wait()
    kill(signal.SIGTERM)
    await asyncio.sleep(0.02)
    assert not life.done()
    kill(number)
    assert await ended(life) == 128 + number
    assert small.calls[-1] == "closing"


async def test_a_signal_while_opening_ends_the_start() -> None:
    """A start that hangs, in a long migration for example, can be interrupted."""
    small = RecordingService()
    small.hang_opening = True
    life = asyncio.create_task(runtime(small).run())
    await small.opening.wait()
    kill(signal.SIGTERM)
    await ended(life)
    assert small.calls == ["open {}"]


async def test_a_refused_start_is_raised_as_it_is() -> None:
    """What keeps the service from opening reaches whoever runs it."""

    @contextlib.asynccontextmanager
    async def refuse(
        _settings: Settings, passed: Mapping[str, int], _lag: EventLoopLag
    ) -> AsyncIterator[RecordingService]:
        if not passed:
            raise StartRefused("The port is taken.")
        yield RecordingService()

    with pytest.raises(StartRefused, match="taken"):
        await Runtime(Settings(), refuse, {}).run()


async def test_a_cancelled_life_is_not_taken_for_a_drain() -> None:
    """Only a signal ends the daemon well; a cancellation from outside goes on."""
    small = RecordingService()
    life = asyncio.create_task(runtime(small).run())
    await small.ready.wait()
    life.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended(life)


async def test_the_watchdog_is_fed_only_while_nothing_hangs(manager: socket.socket) -> None:
    """A stall starves the watchdog, and its end feeds it again."""
    small = RecordingService()
    small.stalled = ["the writer"]
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"}
    life = asyncio.create_task(runtime(small, environ).run())
    assert (await heard(manager)).startswith("READY=1")
    await asyncio.sleep(0.05)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)
    small.stalled = []
    assert await heard(manager) == "WATCHDOG=1"
    kill(signal.SIGTERM)
    await ended(life)


async def test_sockets_for_another_process_are_left_alone() -> None:
    """LISTEN_FDS that are not meant for this process do not reach the service."""
    small = RecordingService()
    life = asyncio.create_task(runtime(small, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}).run())
    await small.ready.wait()
    kill(signal.SIGTERM)
    await ended(life)
    assert small.calls[0] == "open {}"


async def test_a_blocked_loop_shows_as_lag() -> None:
    """A turn of the loop that takes long is seen, at the sample that it delays."""
    lag = EventLoopLag(sample_seconds=0.02)
    watch = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    before = lag.seconds()
    time.sleep(0.1)  # noqa: ASYNC251 - the very fault that is to be seen
    overdue = lag.seconds()
    await asyncio.sleep(0.001)
    watch.cancel()
    assert before == 0.0
    assert overdue > 0.0
    assert lag.seconds() > 0.0
