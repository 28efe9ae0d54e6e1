"""Runs the daemon's process: signals, sd_notify, sockets from systemd, watchdog, drain.

The service manager's protocols are a few environment variables and one datagram, documented in
sd_notify(3) and sd_listen_fds(3). Without systemd the environment has none of them, and every
notification does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import structlog
from msgspec import Struct

from daemon.background import get_seconds_to_tick, run_in_background
from daemon.settings import Settings

FIRST_PASSED_FD = 3
"""The first descriptor that systemd hands over (SD_LISTEN_FDS_START)."""


class SystemdNotifier(Struct, frozen=True):
    """Sends the daemon's state to the service manager, with no guarantee of delivery.

    No method raises: a service manager that went away must not end the daemon.
    """

    address: str | None
    watchdog_seconds: float | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> SystemdNotifier:
        """Build a notifier from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        name = environ.get("NOTIFY_SOCKET", "")
        address = name if name.startswith(("/", "@")) else None
        return cls(address, _parse_watchdog_seconds(environ))

    def ready(self, status: str) -> None:
        """Report that the daemon serves, at the end of a start or of a reload."""
        self._send("READY=1", f"STATUS={_join_lines(status)}")

    def status(self, text: str) -> None:
        """Set the sentence that `systemctl status` shows."""
        self._send(f"STATUS={_join_lines(text)}")

    def reloading(self, monotonic_usec: int) -> None:
        """Report that a reload began at this reading of CLOCK_MONOTONIC, in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        """Report that the daemon drains and will end."""
        self._send("STOPPING=1")

    def feed_watchdog(self) -> None:
        """Feed the watchdog. Call it only after checking that the daemon works."""
        self._send("WATCHDOG=1")

    def watchdog_interval(self) -> float | None:
        """Return the seconds between two feeds, None without a watchdog."""
        # Half of the limit, as sd_watchdog_enabled(3) recommends.
        return None if self.watchdog_seconds is None else self.watchdog_seconds / 2

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # A leading "@" is how the environment spells the NUL of the abstract namespace.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                # A full queue loses one message; a blocking send would stop the event loop.
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError:
            return


def get_listen_fds(
    environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> dict[str, int]:
    """Return the descriptors that systemd hands over, by name, or an empty dict.

    Names come from FileDescriptorName= in the socket unit; where two sockets share one, or there
    is none, the descriptor's number is the name.
    """
    # The variables are inherited by child processes; LISTEN_PID says for which process they are.
    if environ.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return {}
    count = _parse_number(environ.get("LISTEN_FDS")) or 0
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    passed: dict[str, int] = {}
    for offset, fd in enumerate(range(FIRST_PASSED_FD, FIRST_PASSED_FD + count)):
        # systemd passes them inheritable; a child that held one would keep the port after our end.
        os.set_inheritable(fd, False)
        name = names[offset] if offset < len(names) else ""
        passed[name if name and name not in passed else str(fd)] = fd
    return passed


def _parse_watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """Return systemd's limit in seconds, if it is set and meant for this process."""
    if environ.get("WATCHDOG_PID") not in {None, str(os.getpid())}:
        return None
    limit = _parse_number(environ.get("WATCHDOG_USEC"))
    return limit / 1_000_000 if limit else None


def _parse_number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _join_lines(text: str) -> str:
    """Return a status as one line: a line break would start another assignment of sd_notify."""
    return " ".join(text.splitlines())


log = structlog.get_logger("runtime")

LAG_SAMPLE_SECONDS: Final = 2.0
STATUS_SECONDS: Final = 15.0
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
CLOSE_SECONDS: Final = 5.0
"""What closing servers and database may take, beyond the time for messages being sent."""


class RuntimeService(Protocol):
    """What the runtime opens, watches and closes."""

    async def status(self) -> str:
        """Return one line for the service manager's status."""
        ...

    async def stalls(self) -> Sequence[object]:
        """Return the parts that hang; while there are any, the watchdog is not fed."""
        ...

    async def reload(self) -> None:
        """Read again what an operator may have changed (SIGHUP); return once that is done."""
        ...

    def closing(self) -> None:
        """Prepare for the end; called before anything is closed."""
        ...


class EventLoopLag:
    """Measures how late the event loop runs, in seconds."""

    def __init__(self, sample_seconds: float = LAG_SAMPLE_SECONDS) -> None:
        self._sample = sample_seconds
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._last = 0.0

    def seconds(self) -> float:
        """Return the lag of the last sample, or of the one that is overdue if that is more."""
        return max(self._last, self._loop.time() - self._due, 0.0)

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            wait = get_seconds_to_tick(self._sample, self._loop.time())
            self._due = self._loop.time() + wait
            await asyncio.sleep(wait)
            self._last = self._loop.time() - self._due


OpenService = Callable[
    [Settings, Mapping[str, int], EventLoopLag], AbstractAsyncContextManager[RuntimeService]
]
"""Opens all services, and closes them at its end; gets the sockets that systemd passed."""


class Runtime:
    """Runs the daemon once: opens the services, reports READY, waits for a signal, drains."""

    def __init__(
        self, settings: Settings, open_service: OpenService, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._settings = settings
        self._open = open_service
        self._passed = get_listen_fds(environ)
        self._notifier = SystemdNotifier.from_env(environ)
        self._stopping = asyncio.Event()
        self._ready = False
        self._second_signal: signal.Signals | None = None
        self._reload_requested = asyncio.Event()

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; raise what prevents the services from opening.

        The drain takes at most `drain_seconds`, and closing a little more. A second signal cuts it
        short: then the exit status that is returned is 128 and its number, else it is 0.
        """
        serving = asyncio.create_task(self._serve(), name="serve")
        with self._handle_signals(serving):
            try:
                await serving
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                log.warning("drain_cut_short" if self._ready else "start_interrupted")
        return 0 if self._second_signal is None else 128 + self._second_signal

    async def _serve(self) -> None:
        lag = EventLoopLag()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(run_in_background(lag.watch(), "event-loop-lag"))
            service = await stack.enter_async_context(self._open(self._settings, self._passed, lag))
            self._ready = True
            # One that came before is done: opening the services reads everything.
            self._reload_requested.clear()
            self._notifier.ready(await service.status())
            log.info("ready")
            for task, name in (
                (self._report_status(service), "status-report"),
                (self._feed_watchdog(service), "watchdog"),
                (self._reload_on_request(service), "reload"),
            ):
                await stack.enter_async_context(run_in_background(task, name))
            await self._stopping.wait()
            self._notifier.stopping()
            log.info("stopping")
            service.closing()

    async def _report_status(self, service: RuntimeService) -> None:
        """Update the line that `systemctl status` shows, every few seconds."""
        while True:
            await asyncio.sleep(get_seconds_to_tick(STATUS_SECONDS, time.monotonic()))
            self._notifier.status(await service.status())

    async def _feed_watchdog(self, service: RuntimeService) -> None:
        """Feed the watchdog while nothing hangs."""
        # Fed from a task of the event loop, so that a loop that is stuck does not feed it.
        interval = self._notifier.watchdog_interval()
        while interval is not None:
            if found := await service.stalls():
                log.error("watchdog_not_fed", stalls=[str(each) for each in found])
            else:
                self._notifier.feed_watchdog()
            await asyncio.sleep(interval)

    async def _reload_on_request(self, service: RuntimeService) -> None:
        """Reload at each SIGHUP; the service manager waits for the READY at the end."""
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            self._notifier.reloading(time.monotonic_ns() // 1000)
            await service.reload()
            self._notifier.ready(await service.status())

    @contextlib.contextmanager
    def _handle_signals(self, serving: asyncio.Task[None]) -> Iterator[None]:
        """Handle SIGTERM, SIGINT and SIGHUP for the length of the block."""
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, serving, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        # The process that started us may have blocked them. Unblocked only after the handlers are
        # set, so that a signal that is pending reaches them.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP_SIGNALS, signal.SIGHUP})
        try:
            yield
        finally:
            for number in (*_STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self, serving: asyncio.Task[None], number: signal.Signals) -> None:
        """Begin to drain. Cancel a start that is not finished, and a drain at the second signal."""
        if self._stopping.is_set():
            self._second_signal = number
            serving.cancel()
            return
        if not self._ready:
            self._stopping.set()
            serving.cancel()
            return
        self._stopping.set()
        loop = asyncio.get_running_loop()
        # A bound on the whole end: a close that hangs must not outlast the service manager's
        # patience.
        loop.call_later(self._settings.daemon.drain_seconds + CLOSE_SECONDS, serving.cancel)

    def _on_hangup(self) -> None:
        """Request a reload on SIGHUP."""
        log.info("reload_asked")
        self._reload_requested.set()
