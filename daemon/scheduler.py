"""The periodic jobs: each a short call into a service; due work itself is in the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

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
async def run_scheduler(jobs: Iterable[PeriodicJob]) -> AsyncIterator[None]:
    """Run the jobs beside the block. A late one runs late, never twice, and never not at all."""
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for job in jobs:
        # The library's annotation says int; it hands the number to a timedelta.
        trigger = IntervalTrigger(seconds=job.seconds, timezone=UTC)  # pyright: ignore[reportArgumentType]
        scheduler.add_job(partial(_run_job, job), trigger, id=job.name, name=job.name)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


async def _run_job(job: PeriodicJob) -> None:
    """Do one job; its error is a line in the log and ends nothing."""
    try:
        await job.work()
    except Exception:
        log.exception("job_failed", job=job.name)
