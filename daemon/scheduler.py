"""The periodic jobs: each a short call into a room; due work is never here but in the database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from functools import partial

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = structlog.get_logger("scheduler")


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `seconds` (of the machine's time), for as long as the daemon runs."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def running(jobs: Iterable[Job]) -> AsyncIterator[None]:
    """Run the jobs beside the block. A late one runs late, never twice, and never not at all."""
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for job in jobs:
        trigger = IntervalTrigger(seconds=job.seconds, timezone=UTC)
        scheduler.add_job(partial(_contained, job), trigger, id=job.name, name=job.name)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


async def _contained(job: Job) -> None:
    """Do one job; its error is a line in the log and ends nothing."""
    try:
        await job.work()
    except Exception:
        log.exception("job_failed", job=job.name)
