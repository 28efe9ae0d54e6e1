"""The socket unit of a worker and its service, by systemd's own `systemd-socket-activate`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

PYTHON = (sys.executable, "-m", "daemon.linked_worker", "--unit", "--daemon-user")
"""What the shipped unit starts, but for the path of its Python."""
ROOT = Path(__file__).parents[2]
HANDED_OVER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Hands a listening socket on: it outlives each start, as the socket of a socket unit does.

The call is the unit's `MemoryDenyWriteExecute=`; a kernel before 6.3 does not know it.
"""


class WorkerUnit:
    """One slot: its socket, its lasting folder, and the service that a connection starts."""

    def __init__(
        self,
        folder: Path,
        *,
        slot: str = "1",
        daemon_user: str = pwd.getpwuid(os.getuid()).pw_name,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.path = folder / f"{slot}.sock"
        self.state = folder / f"{slot}.state"
        self.log = folder / f"{slot}.log"
        self._daemon_user = daemon_user
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "STATE_DIRECTORY": str(self.state),
            **(environment or {}),
        }
        self._listening = socket.socket(socket.AF_UNIX)
        self._process: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Condition()
        self.ends: list[int] = []
        """The exit status of each worker that has ended."""

    @property
    def pid(self) -> int:
        """Return the id of the process that serves, or waits for a connection."""
        assert self._process is not None
        return self._process.pid

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[WorkerUnit]:
        """Listen for the length of the block; the service is there whenever it is asked for."""
        self.state.mkdir()
        self._listening.bind(str(self.path))
        self._listening.listen()
        started = asyncio.Event()
        serving = asyncio.create_task(self._serve(started))
        try:
            await started.wait()
            yield self
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            self._listening.close()

    def kill(self) -> None:
        """Kill the worker that serves."""
        os.kill(self.pid, signal.SIGKILL)

    async def wait_for_end(self, number: int = 1) -> str:
        """Return what was logged once so many workers have ended."""
        async with asyncio.timeout(60), self._ended:
            await self._ended.wait_for(lambda: len(self.ends) >= number)
        return self.log.read_text(encoding="utf-8")

    async def _serve(self, started: asyncio.Event) -> None:
        """Start the service again each time when it has ended, as a connection makes systemd do."""
        while True:
            with self.log.open("ab") as log:
                self._process = process = await asyncio.create_subprocess_exec(
                    *self._build_command(),
                    pass_fds=[self._listening.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            started.set()
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
                raise
            async with self._ended:
                self.ends.append(status)
                self._ended.notify_all()

    def _build_command(self) -> list[str]:
        variables = [
            word
            for name, value in self._environment.items()
            for word in ("--setenv", f"{name}={value}")
        ]
        activate = ["systemd-socket-activate", *variables, *PYTHON, self._daemon_user]
        return [sys.executable, "-c", HANDED_OVER, str(self._listening.fileno()), *activate]
