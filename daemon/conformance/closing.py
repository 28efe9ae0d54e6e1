"""Conformance checks of how a channel is declared, and how its connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

from daemon.api.transport import Capabilities
from daemon.conformance.bench import ConformanceBench, ConformanceFailure

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SETTLE_TURNS = 20
_TURN_SECONDS = 0.05


async def check_declaration(bench: ConformanceBench) -> None:
    """The channel has a plain name and a summary; without a connection it can do nothing."""
    channel = bench.channel
    if not _NAME.fullmatch(channel.name):
        raise ConformanceFailure(f"{channel.name!r}: use up to 32 of a-z, 0-9, - and _")
    if not channel.summary.strip():
        raise ConformanceFailure("it has no summary, by which people choose it")
    if not isinstance(channel.capabilities, Capabilities):
        raise ConformanceFailure("its capabilities are no Capabilities")
    if not channel.connects and channel.capabilities != Capabilities():
        raise ConformanceFailure("it declares capabilities, and has no connection")


async def check_close(bench: ConformanceBench) -> None:
    """`close()` returns in time, twice and twice at once, and never raises."""
    async with bench.connected() as line:
        await line.close()
        await line.close()
    async with bench.connected() as line:
        await asyncio.gather(line.close(), line.close())


async def check_close_unconnected(bench: ConformanceBench) -> None:
    """`close()` returns in time before anything was connected."""
    async with bench.open() as line:
        await line.close()


async def check_stream_end(bench: ConformanceBench) -> None:
    """The stream of signals ends when the line is closed, whether it waits or not."""
    async with bench.connected() as line:
        await line.close()
        if not await line.wait_until(line.has_ended, bench.limits.close):
            raise ConformanceFailure(f"it had not ended {bench.limits.close:g} s after close()")
        if line.reading is not None and (error := line.reading.exception()):
            raise ConformanceFailure(f"it ended with {type(error).__name__}")


async def check_leftovers(bench: ConformanceBench) -> None:
    """Nothing is left after `close()`: no task, no open file."""
    async with bench.connected() as line:
        await line.close()  # once before counting: what is opened only once is open now
    tasks, files = asyncio.all_tasks(), _list_open_files()
    async with bench.connected() as line:
        await line.close()
        await line.wait_until(line.has_ended)
        # Cancelled tasks and closed transports end some turns of the loop later.
        for _ in range(_SETTLE_TURNS):
            if not _list_left(tasks, files):
                break
            await asyncio.sleep(_TURN_SECONDS)
        if left := _list_left(tasks, files):
            raise ConformanceFailure(f"left open: {', '.join(left)}")


def _list_left(tasks: set[asyncio.Task[object]], files: set[str]) -> list[str]:
    own = asyncio.current_task()
    left = [task.get_name() for task in asyncio.all_tasks() - tasks if task is not own]
    return sorted(left) + sorted(_list_open_files() - files)


def _list_open_files() -> set[str]:
    """Return the open files of this process; empty on a system without /proc."""
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                found.add(f"{entry.name} ({entry.readlink()})")
    return found
