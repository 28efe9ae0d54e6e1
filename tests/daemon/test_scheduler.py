"""Periodic jobs run, contain their errors, and are the ones that the house needs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from structlog.testing import capture_logs

from daemon.bootstrap import open_services
from daemon.scheduler import PeriodicJob, build_periodic_jobs, run_scheduler, watch_wall_clock
from tests.helpers.client.http import build_settings
from tests.helpers.clock import FakeClock


async def test_a_job_runs_again_and_again() -> None:
    """A job is called at each interval for as long as the block lasts."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)

    async with asyncio.timeout(5), run_scheduler([PeriodicJob("often", 0.01, work)]):
        assert [await calls.get(), await calls.get()] == [1, 1]


async def test_a_wall_clock_that_is_set_back_keeps_no_job_waiting() -> None:
    """A next time lies an hour ahead after such a step; the interval begins anew."""
    clock, runs = FakeClock(), asyncio.Queue[int]()
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(runs.put_nowait, IntervalTrigger(seconds=1, timezone=UTC), args=[1])
    scheduler.start()
    watch = asyncio.create_task(watch_wall_clock(scheduler, clock))
    try:
        with capture_logs() as lines:
            await clock.advance(31)  # nothing was set: nothing is moved
            (job,) = scheduler.get_jobs()
            job.modify(next_run_time=datetime.now(UTC) + timedelta(hours=1))
            clock.set_back(3600)
            await clock.advance(31)
        async with asyncio.timeout(10):
            await runs.get()
    finally:
        watch.cancel()
        scheduler.shutdown(wait=False)
    assert [line["seconds"] for line in lines if line["event"] == "clock_set_back"] == [3600]


async def test_a_failing_job_is_logged_and_comes_again() -> None:
    """An error ends neither the job nor its neighbours."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)
        raise RuntimeError("once more")

    with capture_logs() as lines:
        async with asyncio.timeout(5), run_scheduler([PeriodicJob("ill", 0.01, work)]):
            await calls.get()
            await calls.get()
    assert {line["job"] for line in lines if line["event"] == "job_failed"} == {"ill"}


async def test_the_jobs_of_a_house_all_do_their_work(short_folder: Path) -> None:
    """Every periodic job runs through on a house that is open."""
    async with open_services(build_settings(short_folder)) as services:
        jobs = build_periodic_jobs(services)
        for job in jobs:
            await job.work()
    assert {job.name for job in jobs} == {
        "wake_outbox",
        "high_water",
        "checkpoint",
        "validation_sweep",
        "event_trim",
        "retention",
    }
