"""The launcher: how a transport gets a worker process of its own, and talks with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol


class Worker(Protocol):
    """A running worker: a two-way stream of bytes, and its end."""

    @property
    def reader(self) -> asyncio.StreamReader:
        """What the worker writes; it ends when the worker does."""
        ...

    @property
    def writer(self) -> asyncio.StreamWriter:
        """What the worker reads."""
        ...

    @property
    def pid(self) -> int | None:
        """The process id; None for a worker that another service manager runs."""
        ...

    async def wait(self) -> int | None:
        """Return the exit status once the worker has ended; None where nobody can say."""
        ...

    async def close(self) -> None:
        """End the worker and all that it started. Idempotent, bounded, never raises."""
        ...


class LaunchWorker(Protocol):
    """Starts a worker: a child process, or a service behind a socket of systemd."""

    async def __call__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Worker:
        """Run ``python -m module`` with these arguments, and return it connected.

        The worker finds the descriptor of its socket in ``LEADMASTER_WORKER_FD``; standard output
        is not used, because libraries print there. ``environment`` is added to ours. It never
        outlives the daemon. Raises :class:`OSError` where it can't be started.
        """
        ...
