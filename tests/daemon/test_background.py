"""What runs beside a block ends with it, and an error of its own is told."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from daemon.background import get_seconds_to_tick, run_in_background


async def test_the_end_of_the_block_awaits_the_end_of_the_task() -> None:
    """What a task does when it is cancelled is done before the next thing closes."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("task")

    async with run_in_background(work(), "work"):
        await asyncio.sleep(0)
    assert ended == ["task"]


async def test_an_error_is_logged_when_it_happens_and_leaves_the_block_alone() -> None:
    """Nobody awaits the task before the end of the block, which may be days away."""

    async def fail() -> None:
        raise OSError

    with capture_logs() as lines:
        async with run_in_background(fail(), "watchdog"):
            await asyncio.sleep(0.01)
            told = [(line["event"], line["task"]) for line in lines]
    assert told == [("background_task_failed", "watchdog")]


async def test_an_error_of_the_block_ends_the_task_too() -> None:
    """And it is the error that is raised."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def fail_beside() -> None:
        async with run_in_background(work(), "work"):
            await asyncio.sleep(0)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_beside()
    assert ended.is_set()


def test_tasks_that_began_at_other_moments_wake_together() -> None:
    """Each waits to the next multiple of its own interval."""
    assert get_seconds_to_tick(5, 1001.5) == 3.5
    assert get_seconds_to_tick(2, 1003.5) == 0.5
    assert get_seconds_to_tick(5, 1005) == 5
