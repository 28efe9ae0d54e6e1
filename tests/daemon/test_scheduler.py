"""Periodic jobs run, contain their errors, and are the ones that the house needs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from structlog.testing import capture_logs

from daemon.background import run_in_background
from daemon.bootstrap import open_services
from daemon.bus import EventBus
from daemon.events import ClockStepped
from daemon.scheduler import PeriodicJob, build_periodic_jobs, follow_clock_steps, run_scheduler
from tests.helpers.client.http import build_settings


async def test_a_job_runs_again_and_again() -> None:
    """A job is called at each interval for as long as the block lasts."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)

    async with asyncio.timeout(5), run_scheduler([PeriodicJob("often", 0.01, work)], EventBus()):
        assert [await calls.get(), await calls.get()] == [1, 1]


async def test_a_wall_clock_that_is_set_back_keeps_no_job_waiting() -> None:
    """A next time lies an hour ahead after such a step; the interval begins anew."""
    bus, runs = EventBus(), asyncio.Queue[int]()
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.add_job(runs.put_nowait, IntervalTrigger(seconds=1, timezone=UTC), args=[1])
    scheduler.start()
    (job,) = scheduler.get_jobs()
    ahead = datetime.now(UTC) + timedelta(hours=1)
    try:
        async with run_in_background(follow_clock_steps(scheduler, bus), "test"):
            await asyncio.sleep(0)
            job.modify(next_run_time=ahead)
            bus.publish(ClockStepped(subject="installation", at=ahead, seconds=60))
            await asyncio.sleep(0)
            assert job.next_run_time == ahead  # set on: what is due comes by itself
            bus.publish(ClockStepped(subject="installation", at=ahead, seconds=-3600))
            async with asyncio.timeout(10):
                await runs.get()
    finally:
        scheduler.shutdown(wait=False)


async def test_intervals_count_from_one_moment() -> None:
    """What is due at once wakes a machine at rest once, and not once for each job."""
    bus = EventBus()

    async def work() -> None:
        """Do nothing."""

    def list_times(scheduler: AsyncIOScheduler) -> list[datetime]:
        return sorted(job.next_run_time for job in scheduler.get_jobs())

    jobs = [PeriodicJob(str(seconds), seconds, work) for seconds in (5, 10, 60)]
    async with run_scheduler(jobs, bus) as scheduler:
        begun = list_times(scheduler)
        await asyncio.sleep(0.01)
        step = ClockStepped(subject="installation", at=datetime.now(UTC), seconds=-3600)
        bus.publish(step)
        await asyncio.sleep(0)
        stepped = list_times(scheduler)
    assert begun != stepped
    for first, *others in (begun, stepped):
        assert [(each - first) % timedelta(seconds=5) for each in others] == [timedelta()] * 2


async def test_a_failing_job_is_logged_and_comes_again() -> None:
    """An error ends neither the job nor its neighbours."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)
        raise RuntimeError("once more")

    with capture_logs() as lines:
        async with asyncio.timeout(5), run_scheduler([PeriodicJob("ill", 0.01, work)], EventBus()):
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
        "storage",
        "high_water",
        "breaker",
        "backup_journal",
        "backup",
        "alerts",
        "alert_notices",
        "alert_ping",
        "campaigns",
        "checkpoint",
        "outcomes",
        "validation_sweep",
        "deliveries",
        "contact_sync",
        "event_trim",
        "retention",
    }
