"""The retention sweep: deletes or blanks each kind of data after its configured days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from daemon.api.clock import Clock
from daemon.settings import RetentionSettings
from storage import retention
from storage.db import Database
from storage.score_explanations import delete_unused_explanations
from storage.tx import Tx

log = structlog.get_logger("retention")

_BATCH_ROWS = 500  # in one job, so that an opt-out does not wait for a whole sweep

SweepFunction = Callable[[Tx, datetime, int], int]


class Retention:
    """Deletes and blanks data by the retention settings."""

    def __init__(self, database: Database, clock: Clock, settings: RetentionSettings) -> None:
        self._database = database
        self._clock = clock
        # By the age of rows, so that a sweep that was missed is made up for by the next.
        self._sweeps: tuple[tuple[str, SweepFunction, int], ...] = (
            ("strangers", retention.forget_strangers, settings.strangers),
            ("never_contacted", retention.erase_uncontacted_prospects, settings.never_contacted),
            ("bodies", retention.blank_bodies, settings.bodies),
            ("quarantine", retention.delete_quarantined_signals, settings.quarantine),
            ("decisions", retention.pseudonymise_decisions, settings.decision_facts),
        )
        self._events = timedelta(days=settings.events)

    async def sweep(self) -> dict[str, int]:
        """Delete or blank everything that is too old; return how many rows of each kind."""
        now = self._clock.now()
        deleted = {
            name: await self._sweep_in_batches(sweep, now - timedelta(days=days))
            for name, sweep, days in self._sweeps
        }
        deleted["score_explanations"] = await self._delete_unused_explanations()
        log.info("retention_swept", **deleted)
        return deleted

    async def trim_events(self) -> int:
        """Delete old events; a client that has not read them gets a snapshot. Return how many."""
        return await self._database.trim_events(self._clock.now() - self._events)

    async def _delete_unused_explanations(self) -> int:
        total = 0
        while deleted := await self._database.write(
            lambda tx: delete_unused_explanations(tx, _BATCH_ROWS)
        ):
            total += deleted
        return total

    async def _sweep_in_batches(self, sweep: SweepFunction, before: datetime) -> int:
        total = 0
        while deleted := await self._database.write(lambda tx: sweep(tx, before, _BATCH_ROWS)):
            total += deleted
        return total
