"""Periodic jobs run, contain their errors, and are the ones that the house needs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest
from structlog.testing import capture_logs

from daemon.bootstrap import open_services
from daemon.scheduler import PeriodicJob, build_periodic_jobs, run_scheduler
from tests.helpers.client.http import build_settings
from tests.helpers.clock import FakeClock


async def test_a_job_runs_again_and_again() -> None:
    """A job is called at each interval for as long as the block lasts."""
    calls: asyncio.Queue[int] = asyncio.Queue()

    async def work() -> None:
        calls.put_nowait(1)

    async with asyncio.timeout(5), run_scheduler([PeriodicJob("often", 0.01, work)]):
        assert [await calls.get(), await calls.get()] == [1, 1]


async def test_a_wall_clock_that_is_set_back_keeps_no_job_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Next times are moments of the wall clock; set back by an hour, each interval begins anew."""
    clock, runs = FakeClock(), asyncio.Queue[int]()
    set_back = timedelta(0)

    class WallClock(datetime):
        """What the library reads."""

        @classmethod
        def now(cls, tz: object = UTC) -> datetime:  # type: ignore[override]
            del tz
            return datetime.now(UTC) - set_back

    async def work() -> None:
        runs.put_nowait(1)

    for module in (apscheduler.schedulers.base, apscheduler.triggers.interval):
        monkeypatch.setattr(module, "datetime", WallClock)
    async with asyncio.timeout(10), run_scheduler([PeriodicJob("often", 0.05, work)], clock):
        await runs.get()
        set_back = timedelta(hours=1)
        clock.set_back(3600)
        await asyncio.sleep(0.5)  # what was due before the step has run by now
        seen = runs.qsize()
        await asyncio.sleep(0.5)
        assert runs.qsize() == seen  # the library alone would wait for an hour
        with capture_logs() as lines:
            await clock.advance(31)
        for _ in range(seen + 2):
            await runs.get()
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
