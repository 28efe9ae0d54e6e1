"""Periodic jobs run, contain their errors, and are the ones that the house needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from daemon.bootstrap import open_services
from daemon.scheduler import PeriodicJob, build_periodic_jobs, run_scheduler
from tests.helpers.client.http import build_settings


async def test_a_job_runs_again_and_again() -> None:
    """A job is called at each interval for as long as the block lasts."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)

    async with asyncio.timeout(5), run_scheduler([PeriodicJob("often", 0.01, work)]):
        assert [await calls.get(), await calls.get()] == [1, 1]


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
        "expiries",
        "high_water",
        "checkpoint",
        "validation_sweep",
        "event_trim",
        "retention",
    }
