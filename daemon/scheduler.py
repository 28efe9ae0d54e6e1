"""The periodic jobs: each a short call into a service; due work itself is in the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from daemon.api.clock import Clock
from daemon.services import Services

log = structlog.get_logger("scheduler")

HOUR_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """Something to do every `seconds` (of the machine's time), for as long as the daemon runs."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


def build_periodic_jobs(services: Services) -> tuple[PeriodicJob, ...]:
    """Return the periodic jobs over these services."""

    async def expiries() -> None:
        services.outbox.wake()

    return (
        PeriodicJob("expiries", 60, expiries),
        PeriodicJob("high_water", 60, services.database.save_high_water),
        PeriodicJob("checkpoint", 5 * 60, services.database.checkpoint),
        PeriodicJob("validation_sweep", 15 * 60, services.validation.sweep),
        PeriodicJob("event_trim", HOUR_SECONDS, services.retention.trim_events),
        PeriodicJob("retention", 6 * HOUR_SECONDS, services.retention.sweep),
    )


@contextlib.asynccontextmanager
async def run_scheduler(jobs: Iterable[PeriodicJob], clock: Clock) -> AsyncIterator[None]:
    """Run the jobs beside the block, by elapsed seconds. A late one runs late, never twice."""
    tasks = [
        asyncio.create_task(_run_periodically(job, clock), name=f"job-{job.name}") for job in jobs
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run_periodically(job: PeriodicJob, clock: Clock) -> None:
    while True:
        await clock.sleep(job.seconds)
        await _run_job(job)


async def _run_job(job: PeriodicJob) -> None:
    """Do one job; its error is a line in the log and ends nothing."""
    try:
        await job.work()
    except Exception:
        log.exception("job_failed", job=job.name)
