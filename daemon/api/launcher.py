"""The launcher port: starts a worker process for a transport, and connects to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Worker(Protocol):
    """A running worker process, with a two-way stream of bytes."""

    @property
    def reader(self) -> asyncio.StreamReader:
        """The bytes that the worker writes; the stream ends when the worker does."""
        ...

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The bytes that the worker reads."""
        ...

    @property
    def pid(self) -> int | None:
        """The process id; None for a worker that another service manager runs."""
        ...

    async def wait(self) -> int | None:
        """Return the exit status once the worker has ended; None where it is not known."""
        ...

    async def close(self) -> None:
        """End the worker and all processes that it started. Idempotent, bounded, never raises."""
        ...


class LaunchWorker(Protocol):
    """A function that starts a worker: a child process, or a service behind a systemd socket."""

    async def __call__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        socket: Path | None = None,
    ) -> Worker:
        """Run ``python -m module`` with these arguments, and return it connected.

        The worker finds the descriptor of its socket in ``LEADMASTER_WORKER_FD``; standard output
        is not used, because libraries print there. ``environment`` is added to ours. It never
        outlives the daemon.

        With ``socket``, nothing is started here: connecting to that unix socket is what makes a
        service manager start the worker, with an environment and a sandbox of its own. Its command
        line comes over the connection, as the first line
        (:class:`daemon.worker_protocol.WorkerArguments`).

        Raises :class:`OSError` where it can't be started or connected to.
        """
        ...
