"""What a person may ask of a session, and the restore at boot; each is one change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from daemon.errors import Conflict
from daemon.sessions.hearing import ConnectionTrigger
from daemon.sessions.line import CLOSE_SECONDS, run_with_timeout, unlink_device
from daemon.sessions.session import Session
from statemachines.session import (
    ACTIVE_STATES,
    MUST_ACKNOWLEDGE_STATES,
    NEEDS_PERSON_STATES,
    ConnectionEvent,
    ConnectionState,
    SendingState,
)
from storage.sessions import SessionRecord

DESIRED_ON = "on"
DESIRED_OFF = "off"


async def start_session(session: Session, who: str) -> None:
    """Switch a session on; one that is on its way or ready already goes on as it is."""
    after = session.record
    if after.connection not in ACTIVE_STATES:
        after = _build_started_record(session)
    await _commit_command(session, replace(after, desired=DESIRED_ON), who, "session_started")


async def restart_session(session: Session, who: str) -> None:
    """Begin again from the start; one that is starting already goes on as it is."""
    after = session.record
    if after.connection is not ConnectionState.STARTING:
        after = _build_started_record(session)
    await _commit_command(session, replace(after, desired=DESIRED_ON), who, "session_restarted")


async def stop_session(session: Session, who: str) -> None:
    """Switch a session off. A ban or a block stays: stopping is no way round it."""
    after = _build_stopped_record(session, "stopped_by_person")
    await _commit_command(session, replace(after, desired=DESIRED_OFF), who, "session_stopped")


async def log_out_session(session: Session, who: str) -> None:
    """Unlink the device and switch the session off; the next start shows a code."""
    if session.connection is not None:
        await session.connection.logout()
    elif session.is_linked and session.channel.open is not None:
        unlinking = unlink_device(session.channel.open, session.context())
        await run_with_timeout(session.dependencies.clock, CLOSE_SECONDS, unlinking)
    after = session.transitions.unlink_phone(_build_stopped_record(session, "logged_out_by_person"))
    await _commit_command(session, replace(after, desired=DESIRED_OFF), who, "session_logged_out")


async def acknowledge_session(session: Session, who: str) -> None:
    """Confirm what happened. The session stays off; after a ban it will only reply for 14 days.

    Raises :class:`Conflict` while a ban lasts, and where there is nothing to confirm.
    """
    record = session.record
    if record.connection is ConnectionState.BANNED_TEMPORARILY and record.due_at is not None:
        raise Conflict(
            f"The ban on {record.name} lasts until {record.due_at:%Y-%m-%d %H:%M} UTC.",
            hint="Wait until then, and confirm afterwards.",
        )
    if record.connection in NEEDS_PERSON_STATES:
        heard = ConnectionTrigger(ConnectionEvent.ACKNOWLEDGE, "acknowledged")
        after = replace(
            session.transitions.apply_trigger(heard, session.now()), desired=DESIRED_OFF
        )
    elif record.sending is SendingState.REPLY_ONLY and record.sending_until is None:
        after = session.transitions.reopen_sending("sending_reopened")
    else:
        raise Conflict(
            f"There is nothing to confirm about {record.name}: it is {record.connection}."
        )
    await _commit_command(session, after, who, "session_acknowledged")


async def restore_session(session: Session, at: datetime) -> None:
    """Go on from the stored state after the daemon restarted; who was connected dials ``at``.

    A code that ran out meanwhile stays run out; who is switched off stops.
    """
    record, now = session.record, session.now()
    if record.connection not in ACTIVE_STATES:
        return
    over = record.due_at is not None and record.due_at <= now
    if record.desired == DESIRED_OFF:
        after = _build_stopped_record(session, "stopped_by_person")
    elif record.connection is ConnectionState.AWAITING_SCAN and over:
        after = session.transitions.apply_deadline(now)
    else:
        after = session.transitions.reconnect_after_restart(now, at)
    await session.commit(after)


def _build_started_record(session: Session) -> SessionRecord:
    """Return the record of a session that starts; refuse while a person must confirm first."""
    record = session.record
    if record.connection in MUST_ACKNOWLEDGE_STATES:
        raise Conflict(
            f"The session {record.name} is {record.connection}; it can't start before that is"
            " confirmed.",
            hint=f"Look at what happened, then: leadmaster sessions acknowledge {record.name}",
        )
    stopped = record.connection is ConnectionState.STOPPED
    event = ConnectionEvent.START if stopped else ConnectionEvent.RESTART
    return session.transitions.apply_trigger(
        ConnectionTrigger(event, "started_by_person"), session.now()
    )


def _build_stopped_record(session: Session, reason_code: str) -> SessionRecord:
    record = session.record
    if record.connection in MUST_ACKNOWLEDGE_STATES | {ConnectionState.STOPPED}:
        return record
    return session.transitions.apply_trigger(
        ConnectionTrigger(ConnectionEvent.STOP, reason_code), session.now()
    )


async def _commit_command(session: Session, after: SessionRecord, who: str, action: str) -> None:
    if after != session.record:
        await session.commit(after, who=who, action=action)
