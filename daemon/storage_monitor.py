"""Looks every few seconds at the database's files and at the disk, and stops sending on trouble."""

from __future__ import annotations

from typing import Final

import structlog

from daemon.outbox.halt import Halt
from daemon.outbox.outbox import Outbox
from storage.db import Database
from storage.errors import StorageError, WriteFailed

log = structlog.get_logger("storage")

CHECK_SECONDS: Final = 5.0
_FRESH_SECONDS: Final = 1.0  # the outbox's timer may have compared the files a moment before


class StorageMonitor:
    """Keeps the ballast on the disk, refuses what a full disk can't take, and accepts it again.

    What it found is `Database.refusal`.
    """

    def __init__(self, database: Database, halt: Halt, outbox: Outbox) -> None:
        self._database = database
        self._halt = halt
        self._outbox = outbox
        self._logged: StorageError | None = None

    async def check(self) -> None:
        """Compare the files with those that are open, and see whether the disk has room."""
        if await self._database.check_files(_FRESH_SECONDS) is None:
            await self._check_room()
        self._log_changes()

    async def _check_room(self) -> None:
        try:
            has_room = await self._database.ensure_room()
        except WriteFailed as error:
            self._database.refuse_writes(error)
            return
        # The halt before anything else: with the writes, releases would be accepted again.
        if has_room and await self._halt.store_unstored() and self._database.refusal is not None:
            self._database.accept_writes()
            await self._outbox.wake()

    def _log_changes(self) -> None:
        found = self._database.refusal
        if found is not None and str(found) != str(self._logged):
            log.critical("sending_stopped", error_code=found.code, error=found)
        elif found is None and self._logged is not None:
            log.warning("sending_possible_again")
        self._logged = found
