"""Runs the periodic jobs. What is due at a moment is a row in the database, not a job here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from msgspec import Struct

from daemon.background import get_seconds_to_tick, run_in_background
from daemon.bus import EventBus, SubscriberLagged
from daemon.events import ClockStepped
from daemon.services import Services
from daemon.storage_monitor import CHECK_SECONDS as STORAGE_SECONDS

log = structlog.get_logger("scheduler")

HOUR_SECONDS: Final = 3600
_TICK_SECONDS: Final = 5.0  # of the shortest interval


class PeriodicJob(Struct, frozen=True):
    """Something to do every `seconds`, by the machine's clock, while the daemon runs."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


def build_periodic_jobs(services: Services) -> tuple[PeriodicJob, ...]:
    """Return the periodic jobs of these services."""
    return (
        PeriodicJob("wake_outbox", 60, services.outbox.wake),
        PeriodicJob("breaker", 60, services.breaker.review),
        PeriodicJob("storage", STORAGE_SECONDS, services.storage_monitor.check),
        PeriodicJob("high_water", 60, services.database.save_high_water),
        PeriodicJob("backup_journal", 30, services.backups.follow_journal),
        PeriodicJob("backup", 15 * 60, services.backups.make_due_copy),
        PeriodicJob("alerts", 15, services.alerts.look),
        PeriodicJob("alert_notices", 10, services.alerts.send_due),
        PeriodicJob("alert_ping", 60 * services.settings.alerts.ping_minutes, services.alerts.ping),
        PeriodicJob("checkpoint", 5 * 60, services.database.checkpoint),
        PeriodicJob("campaigns", 60, services.campaign_work.sweep),
        PeriodicJob("outcomes", 15 * 60, services.unanswered_outcomes.sweep),
        PeriodicJob("validation_sweep", 15 * 60, services.validation.sweep),
        PeriodicJob("deliveries", HOUR_SECONDS, services.settlement.accept_silent_rows),
        PeriodicJob("contact_sync", HOUR_SECONDS, services.contact_sync.sync),
        PeriodicJob("event_trim", HOUR_SECONDS, services.retention.trim_events),
        PeriodicJob("retention", 6 * HOUR_SECONDS, services.retention.sweep),
    )


@contextlib.asynccontextmanager
async def run_scheduler(
    jobs: Iterable[PeriodicJob], bus: EventBus
) -> AsyncIterator[AsyncIOScheduler]:
    """Run the jobs for the length of the block. A late job runs late, once.

    All intervals count from one moment, so that what is due at once wakes the process once. After a
    step back of the wall clock, each starts again.
    """
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        # No grace time: a job that is late is run, not dropped. Coalesced: once, not once a miss.
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    begun = _get_last_tick()
    for job in jobs:
        trigger = _build_trigger(job.seconds, begun)
        scheduler.add_job(partial(_run_job, job), trigger, id=job.name, name=job.name)
    scheduler.start()
    try:
        async with run_in_background(follow_clock_steps(scheduler, bus), "scheduler-clock"):
            yield scheduler
    finally:
        scheduler.shutdown(wait=False)


def _get_last_tick() -> datetime:
    """Return the last moment at which the tasks woke that look at something every few seconds."""
    passed = _TICK_SECONDS - get_seconds_to_tick(_TICK_SECONDS, time.monotonic())
    return datetime.now(UTC) - timedelta(seconds=passed)


def _build_trigger(seconds: float, begun: datetime) -> IntervalTrigger:
    # The library's annotation says int; it hands the number to a timedelta.
    return IntervalTrigger(seconds=seconds, start_date=begun, timezone=UTC)  # pyright: ignore[reportArgumentType]


async def follow_clock_steps(scheduler: AsyncIOScheduler, bus: EventBus) -> None:
    """Restart every interval after each step back of the wall clock."""
    # APScheduler stores a job's next run as a moment of the wall clock: after a step back by an
    # hour, every job would pause for that hour. After a lag of the bus, it subscribes again.
    while True:
        subscription = bus.subscribe(kinds=(ClockStepped,))
        with contextlib.closing(subscription) as events, contextlib.suppress(SubscriberLagged):
            async for published in events:
                if isinstance(published.event, ClockStepped) and published.event.seconds < 0:
                    _restart_intervals(scheduler)


def _restart_intervals(scheduler: AsyncIOScheduler) -> None:
    begun = _get_last_tick()
    for job in scheduler.get_jobs():
        job.reschedule(_build_trigger(job.trigger.interval.total_seconds(), begun))


async def _run_job(job: PeriodicJob) -> None:
    """Run one job; its error is logged, and the job runs again at its next time."""
    try:
        await job.work()
    except Exception:
        log.exception("job_failed", job=job.name)
