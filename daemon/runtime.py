"""The process: signals, the word to the service manager, the watchdog, and the drain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import structlog

from daemon.notify import SystemdNotifier, get_listen_fds
from daemon.settings import Settings

log = structlog.get_logger("runtime")

LAG_SAMPLE_SECONDS: Final = 0.5
STATUS_SECONDS: Final = 5.0
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
CLOSE_SECONDS: Final = 5.0
"""What closing doors and database may take beyond the drain of what is on the wire."""


class RuntimeService(Protocol):
    """What runs between start and end."""

    async def status(self) -> str:
        """Return one line for the service manager's status."""
        ...

    async def stalls(self) -> Sequence[object]:
        """Return what hangs; while there is something, the watchdog is not fed."""
        ...

    def reload(self) -> None:
        """Hear a hang-up: look again at what an operator may have changed; return at once."""
        ...

    def closing(self) -> None:
        """Hear that the end begins, before anything is closed."""
        ...


class EventLoopLag:
    """By how much the event loop runs late, in seconds."""

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
            self._due = self._loop.time() + self._sample
            await asyncio.sleep(self._sample)
            self._last = self._loop.time() - self._due


OpenService = Callable[
    [Settings, Mapping[str, int], EventLoopLag], AbstractAsyncContextManager[RuntimeService]
]
"""Opens everything and closes it again, mirror-image; gets the sockets passed by systemd."""


class Runtime:
    """One life of the daemon: open, say READY, wait for the end, drain."""

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
        self._reload: Callable[[], None] = _ignore_reload

    async def run(self) -> int:
        """Live until SIGTERM or SIGINT; raise what keeps the service from opening.

        The drain takes at most `drain_seconds`, and closing a little more. A second signal cuts it
        short: then the exit status that is returned is 128 and its number, else it is 0.
        """
        life = asyncio.create_task(self._serve(), name="life")
        with self._handle_signals(life):
            try:
                await life
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
                log.warning("drain_cut_short" if self._ready else "start_interrupted")
        return 0 if self._second_signal is None else 128 + self._second_signal

    async def _serve(self) -> None:
        lag = EventLoopLag()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(_background_task(lag.watch()))
            service = await stack.enter_async_context(self._open(self._settings, self._passed, lag))
            self._ready = True
            self._reload = service.reload
            self._notifier.ready(await service.status())
            log.info("ready")
            stack.enter_context(_background_task(self._report_status(service)))
            stack.enter_context(_background_task(self._feed_watchdog(service)))
            await self._stopping.wait()
            self._notifier.stopping()
            log.info("stopping")
            service.closing()

    async def _report_status(self, service: RuntimeService) -> None:
        """Keep the line that `systemctl status` shows true."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            self._notifier.status(await service.status())

    async def _feed_watchdog(self, service: RuntimeService) -> None:
        """Feed the watchdog for as long as nothing hangs; from the loop, so a stuck one starves."""
        interval = self._notifier.watchdog_interval()
        while interval is not None:
            if found := await service.stalls():
                log.error("watchdog_not_fed", stalls=[str(each) for each in found])
            else:
                self._notifier.feed_watchdog()
            await asyncio.sleep(interval)

    @contextlib.contextmanager
    def _handle_signals(self, serving: asyncio.Task[None]) -> Iterator[None]:
        """Hear signals, the ones too that whoever started us had blocked or ignored."""
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, serving, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_STOP_SIGNALS, signal.SIGHUP})
        try:
            yield
        finally:
            for number in (*_STOP_SIGNALS, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _stop(self, serving: asyncio.Task[None], number: signal.Signals) -> None:
        """Begin to drain; cut short what is still starting, and what was told twice."""
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
        loop.call_later(self._settings.daemon.drain_seconds + CLOSE_SECONDS, serving.cancel)

    def _on_hangup(self) -> None:
        """Stay alive: a hang-up asks for a reload."""
        log.info("reload_asked")
        self._reload()


def _ignore_reload() -> None:
    """Hear a hang-up before anything is open: what is opened next is read anew anyway."""


@contextlib.contextmanager
def _background_task(coroutine: Coroutine[Any, Any, None]) -> Iterator[None]:
    """Run a coroutine beside the block and end it with the block."""
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
