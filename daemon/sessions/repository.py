"""Stores one session: row, history, audit and event in one transaction, retried when it fails."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from daemon.events import SessionDeleted
from daemon.sessions.queue_disposal import QueueDisposal
from daemon.sessions.status import build_session_changed, describe_block
from statemachines.session import ConnectionState
from storage import audit, session_queue, sessions
from storage.db import Database
from storage.sessions import SessionRecord
from storage.tx import Tx

log = structlog.get_logger("sessions")

STORE_RETRY_INTERVAL = timedelta(seconds=1)


class SessionRepository:
    """Holds a session's present record and the last one that was stored.

    What the platform did is a fact even where storing it fails: the record counts at once, is
    stored again every second, and until that succeeds the session may not send.
    """

    def __init__(self, record: SessionRecord, database: Database) -> None:
        self.record = record
        self.retry_at: datetime | None = None
        self._stored = record
        self._database = database

    @property
    def is_stored(self) -> bool:
        """Return whether the present record is on the disk."""
        return self.record == self._stored

    def roll_back(self, record: SessionRecord) -> None:
        """Return to an earlier record, after a person's command could not be stored."""
        self.record = record
        if self.is_stored:
            self.retry_at = None

    def move_back(self, now: datetime) -> None:
        """Bring a retry forward to ``now``, after the wall clock was set back."""
        if self.retry_at is not None:
            self.retry_at = min(self.retry_at, now)

    async def save(
        self,
        record: SessionRecord,
        at: datetime,
        *,
        who: str = "",
        action: str = "",
        deletion: QueueDisposal | None = None,
    ) -> None:
        """Store ``record``. An error is raised for a person's change; any other change is retried.

        With a ``deletion`` the session is deleted in the same transaction, after its messages.
        """
        self.record = record
        if self.is_stored and not who:
            self.retry_at = None
            return
        stored = self._stored

        def job(tx: Tx) -> None:
            # First, because saving the session marks the messages that it still has as blocked.
            detail = deletion.carry_out(tx, record.name, at, who) if deletion else {}
            _save_session(tx, stored, record, at)
            if who:
                audit.insert_audit_entry(tx, at, who, action, record.name, detail=detail)
            if deletion:
                sessions.mark_session_deleted(tx, record.name, at)
                tx.emit(SessionDeleted(subject=record.name, at=at, who=who))

        try:
            await self._database.write(job, urgent=True)  # a ban forbids the sends behind it
        except Exception as error:
            self.retry_at = at + STORE_RETRY_INTERVAL
            if who:
                raise
            log.warning("session_not_stored", session=record.name, error=type(error).__name__)
        else:
            self._stored, self.retry_at = record, None


def _save_session(tx: Tx, before: SessionRecord, after: SessionRecord, at: datetime) -> None:
    sessions.update_session(tx, before, after, at)
    # By number, because a ban outlives its session: the number could be linked again under a name
    # that has none.
    banned = ConnectionState.BANNED_TEMPORARILY
    if after.connection is banned and before.connection is not banned and after.phone:
        sessions.record_number_ban(tx, after.phone, at)
    if before.block is not after.block:
        session_queue.refresh_blocked_messages(tx, at, describe_block, session=after.name)
    event = build_session_changed(after, at)
    # Some changes show nowhere, such as when the phone was last seen: they make no event.
    if event != build_session_changed(before, at):
        tx.emit(event)
