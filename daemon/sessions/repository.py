"""Stores one session: row, history, audit and event in one transaction, retried when it fails."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from daemon.events import NumberBanned, SessionDeleted
from daemon.numbers.breaker import stop_new_chats
from daemon.sessions.queue_disposal import QueueDisposal
from daemon.sessions.status import build_session_changed, describe_block
from statemachines.session import MUST_ACKNOWLEDGE_STATES
from statemachines.vocabulary import BreakerCause
from storage import audit, bans, numbers, session_queue, sessions
from storage.db import Database
from storage.numbers import REPLY_ONLY_AFTER_BAN
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
        self._restriction = ""  # of the platform, still to be stored for the number
        self._database = database

    @property
    def is_stored(self) -> bool:
        """Return whether the present record is on the disk."""
        return self.record == self._stored and not self._restriction

    @property
    def shown(self) -> SessionRecord:
        """Return the record to show: not one that is being stored, which a power cut takes back.

        Where storing failed it is the present one, for what the platform did is a fact.
        """
        return self._stored if self.retry_at is None else self.record

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
        restriction: str = "",
    ) -> None:
        """Store ``record``. An error is raised for a person's change; any other change is retried.

        With a ``deletion`` the session is deleted in the same transaction, after its messages. A
        ``restriction`` that the platform announced stops the number's new chats.
        """
        self.record, self._restriction = record, restriction or self._restriction
        if self.is_stored and not who:
            self.retry_at = None
            return
        stored, announced = self._stored, self._restriction

        def job(tx: Tx) -> None:
            # First, because saving the session marks the messages that it still has as blocked.
            detail = deletion.carry_out(tx, record.name, at, who) if deletion else {}
            _save_session(tx, stored, record, at, announced)
            if who:
                audit.insert_audit_entry(tx, at, who, action, record.name, detail=detail)
            if deletion:
                sessions.mark_session_deleted(tx, record.name, at)
                tx.emit(SessionDeleted(subject=record.name, at=at, who=who))
            # Before the events: who hears of the change finds it made.
            tx.after_commit.append(lambda: self._mark_stored(record))

        try:
            await self._database.write(job, urgent=True)  # a ban forbids the sends behind it
        except Exception as error:
            self.retry_at = at + STORE_RETRY_INTERVAL
            if who:
                raise
            log.warning("session_not_stored", session=record.name, error=type(error).__name__)

    def _mark_stored(self, record: SessionRecord) -> None:
        if record.connection != self._stored.connection:
            state, reason = record.connection, record.reason_code
            log.info("session_state_changed", session=record.name, state=state, reason=reason)
        self._stored, self._restriction, self.retry_at = record, "", None


def _save_session(
    tx: Tx, before: SessionRecord, after: SessionRecord, at: datetime, restriction: str
) -> None:
    sessions.update_session(tx, before, after, at)
    _save_restriction(tx, after, restriction, at)
    if after.phone:
        _save_ban(tx, after.phone, before, after, at)
    if before.block is not after.block:
        session_queue.refresh_blocked_messages(tx, at, describe_block, session=after.name)
    event = build_session_changed(after, at)
    # Some changes show nowhere, such as when the phone was last seen: they make no event.
    if event != build_session_changed(before, at):
        tx.emit(event)


def _save_restriction(tx: Tx, record: SessionRecord, restriction: str, at: datetime) -> None:
    """Stop the number's new chats where the platform announced a restriction."""
    if restriction and record.phone:
        cause = BreakerCause.RESTRICTED
        stop_new_chats(tx, record.phone, at=at, cause=cause, detail=restriction)


def _save_ban(
    tx: Tx, phone: str, before: SessionRecord, after: SessionRecord, at: datetime
) -> None:
    """Store what a ban, another end of it, or its acknowledgement means for the number.

    By number, because a ban outlives its session: the number could be linked again under a name
    that has none.
    """
    was_banned = before.connection in MUST_ACKNOWLEDGE_STATES
    if after.connection in MUST_ACKNOWLEDGE_STATES:
        if not was_banned:
            _store_ban(tx, phone, after, at)
        elif before.banned_until != after.banned_until:
            bans.set_ban_end(tx, after.name, after.banned_until)
    elif was_banned:
        acknowledge_number(tx, phone, at)


def _store_ban(tx: Tx, phone: str, record: SessionRecord, at: datetime) -> None:
    ban = bans.insert_ban(
        tx,
        phone=phone,
        session=record.name,
        at=at,
        reason_code=record.reason_code,
        until=record.banned_until,
    )
    numbers.set_number_banned(tx, phone, at)
    stop_new_chats(tx, phone, at=at, cause=BreakerCause.BANNED, detail=record.reason_code)
    tx.emit(
        NumberBanned(
            subject=ban.id,
            at=at,
            session=record.name,
            reason_code=record.reason_code,
            until=record.banned_until,
        )
    )


def acknowledge_number(tx: Tx, phone: str, at: datetime) -> None:
    """Store that a person has acknowledged the ban of a number, which only replies for a time."""
    bans.acknowledge_bans(tx, phone, at)
    numbers.set_number_banned(tx, phone, None)
    numbers.extend_reply_only(tx, phone, at + REPLY_ONLY_AFTER_BAN)
