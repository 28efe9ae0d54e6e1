"""Stores one session: row, history, audit and event in one write job, retried when it fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from daemon.events import SessionChanged, SessionDeleted
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
    """Holds what a session is, and what of it is on the disk.

    What the platform did to us is so whether the disk took it or not: it counts at once, it is
    stored again every second, and until then nothing may be sent.
    """

    def __init__(self, record: SessionRecord, database: Database) -> None:
        self.record = record
        self.retry_at: datetime | None = None
        self._stored = record
        self._database = database

    @property
    def is_stored(self) -> bool:
        """Return whether the disk knows what we know."""
        return self.record == self._stored

    def roll_back(self, record: SessionRecord) -> None:
        """Return to an earlier record: what a person asked for could not be stored."""
        self.record = record
        if self.is_stored:
            self.retry_at = None

    def move_back(self, now: datetime) -> None:
        """Try again at once what was to be stored later, after the wall clock was set back."""
        if self.retry_at is not None:
            self.retry_at = min(self.retry_at, now)

    async def save(
        self,
        record: SessionRecord,
        at: datetime,
        *,
        sentence: str = "",
        who: str = "",
        action: str = "",
        deletion: QueueDisposal | None = None,
    ) -> None:
        """Store ``record``. A person's change that fails raises; any other is tried again.

        With a ``deletion`` the session is deleted in the same transaction, after its messages
        were cancelled or moved.
        """
        self.record = record
        if self.is_stored and not who:
            self.retry_at = None
            return
        stored = self._stored

        def job(tx: Tx) -> None:
            # First of all: what goes with the session is not deferred for its sake before.
            detail = deletion.carry_out(tx, record.name, at, who) if deletion else {}
            _save_session(tx, stored, record, at, sentence)
            if who:
                audit.insert_audit_entry(tx, at, who, action, record.name, detail=detail)
            if deletion:
                sessions.mark_session_deleted(tx, record.name, at)
                tx.emit(SessionDeleted(subject=record.name, at=at, who=who))

        try:
            await self._database.write(job, urgent=True)
        except Exception as error:
            self.retry_at = at + STORE_RETRY_INTERVAL
            if who:
                raise
            log.warning("session_not_stored", session=record.name, error=type(error).__name__)
        else:
            self._stored, self.retry_at = record, None


def _save_session(
    tx: Tx, before: SessionRecord, after: SessionRecord, at: datetime, sentence: str
) -> None:
    sessions.update_session(tx, before, after, at)
    banned = ConnectionState.BANNED_TEMPORARILY
    if after.connection is banned and before.connection is not banned and after.phone:
        sessions.record_number_ban(tx, after.phone, at)
    if before.block is not after.block:
        session_queue.refresh_blocked_messages(tx, at, describe_block, session=after.name)
    event = build_session_changed(after, at)
    if event != build_session_changed(before, at):
        tx.emit(_replace_sentence(event, sentence))


def _replace_sentence(event: SessionChanged, sentence: str) -> SessionChanged:
    return replace(event, sentence=sentence) if sentence else event
