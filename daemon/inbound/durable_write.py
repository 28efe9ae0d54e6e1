"""Writes what a session reports until the disk takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from msgspec import Struct

from daemon.api.clock import Clock
from storage.db import Database
from storage.errors import WriteFailed
from storage.tx import Tx

T = TypeVar("T")
log = structlog.get_logger("inbound")

RETRY_SECONDS: Final = 5.0


class DurableWriter(Struct, frozen=True):
    """Writes in the urgent lane and into the ballast's room; while the disk refuses, tries again.

    The session that reported waits meanwhile, so that no opt-out is lost. What a job itself
    raises is raised at once.
    """

    database: Database
    clock: Clock

    async def write(self, job: Callable[[Tx], T]) -> T:
        """Return what the job returned, once its transaction is on the disk."""
        while True:
            try:
                return await self.database.write(job, urgent=True, uses_ballast=True)
            except WriteFailed as error:
                log.critical("news_not_stored", error=str(error), retry_seconds=RETRY_SECONDS)
            await self.clock.sleep(RETRY_SECONDS)
