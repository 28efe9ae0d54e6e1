"""The backups as the daemon sees them: asks for copies, follows the journal, says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import structlog

from daemon.api.clock import Clock
from daemon.backup.requests import (
    BackupAnswer,
    BackupRequest,
    ConfirmKeyRequest,
    MakeCopyRequest,
    MakeKeyRequest,
    NewBackupKey,
    RefreshRequest,
    SealJournalRequest,
    ask_backup,
    find_config,
    read_copy,
)
from daemon.backup.status import (
    BackupConcern,
    BackupStatus,
    SealedCopy,
    find_last_copy,
    list_concerns,
    read_status,
    require_readable,
)
from daemon.errors import LeadMasterError
from daemon.settings import Settings
from storage import audit
from storage.db import Database
from storage.state_folder import StateFolder

log = structlog.get_logger("backup")


class BackupService:
    """Makes backups through the program that may read everything; one at a time."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._started_at = clock.now()
        self._turn = asyncio.Lock()

    @property
    def is_wanted(self) -> bool:
        """Return whether this installation is a real one: an injected clock has nothing to lose."""
        return self._settings.clock.start is None

    def read_status(self) -> BackupStatus:
        """Return what is known of key and copies."""
        return read_status(self._settings)

    def list_concerns(self) -> list[BackupConcern]:
        """Return what a person should know about the backups, the most urgent first."""
        if not self.is_wanted:
            return []
        return list_concerns(self.read_status(), self._started_at, self._clock.now())

    def find_last(self, status: BackupStatus) -> SealedCopy | None:
        """Return the newest copy that was tested, and made before now; None without one."""
        return find_last_copy(status, self._clock.now())

    def find_next(self, status: BackupStatus) -> datetime | None:
        """Return when the next copy is due; None without a key."""
        if status.key_made_at is None:
            return None
        last = self.find_last(status)
        if last is None:
            return self._clock.now()
        return last.made_at + timedelta(hours=self._settings.backup.every_hours)

    async def make_copy(self, who: str) -> SealedCopy | None:
        """Make a copy now, and return it. Raises :class:`LeadMasterError` where that fails."""
        made = await self._ask(MakeCopyRequest())
        await self._record(who, "make_backup")
        return made.copy

    async def download_copy(self, who: str, name: str) -> AsyncGenerator[bytes, None]:
        """Yield a sealed copy in parts; audited before the first. Raises :class:`NotFound`."""
        # Not in the turn of the other requests: a slow reader would keep the next copy waiting.
        recorded = False
        parts = read_copy(self._settings, name, config=find_config())
        async with contextlib.aclosing(parts):
            async for part in parts:
                if not recorded:
                    await self._record(who, "download_backup", name)
                    recorded = True
                yield part

    async def make_key(self, who: str, *, replace: bool) -> NewBackupKey | None:
        """Make a key, and return both halves of it, this once."""
        require_readable(self.read_status())
        made = await self._ask(MakeKeyRequest(replace))
        await self._record(who, "make_backup_key")
        return made.key

    async def confirm_key(self, who: str, typed: str) -> BackupStatus:
        """Confirm with a row of the sheet that somebody has the key."""
        confirmed = await self._ask(ConfirmKeyRequest(typed))
        await self._record(who, "confirm_backup_key")
        return confirmed.status

    async def make_due_copy(self) -> None:
        """Make a copy where the last one is old enough; a failure is kept in the status.

        What is known of the copies is read anew from them where its file can't be read.
        """
        if not self.is_wanted:
            return
        status = self.read_status()
        if status.unreadable is not None:
            await self._ask_in_background(RefreshRequest())
            status = self.read_status()
        due = self.find_next(status)
        if due is not None and due <= self._clock.now():
            await self._ask_in_background(MakeCopyRequest())

    async def follow_journal(self) -> None:
        """Seal the suppression journal again where it has grown since."""
        status = self.read_status()
        if not self.is_wanted or status.key_made_at is None:
            return
        journal = StateFolder(self._settings.state_dir).journal
        size = await asyncio.to_thread(_get_size, journal)
        if size != (status.journal.bytes if status.journal else 0):
            await self._ask_in_background(SealJournalRequest())

    async def _record(self, who: str, action: str, subject: str = "installation") -> None:
        entry = partial(
            audit.insert_audit_entry,
            at=self._clock.now(),
            who=who,
            action=action,
            subject=subject,
        )
        await self._database.write(entry)

    async def _ask(self, request: BackupRequest) -> BackupAnswer:
        async with self._turn:
            return await ask_backup(self._settings, request, config=find_config())

    async def _ask_in_background(self, request: BackupRequest) -> None:
        try:
            await self._ask(request)
        except LeadMasterError as error:
            log.error("backup_failed", error_code=error.code)


def _get_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
