"""What a person may ask of a session, and the restore at boot; each is one change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from daemon.errors import Conflict
from daemon.sessions.hearing import Heard
from daemon.sessions.line import CLOSE_SECONDS, unlink, within
from daemon.sessions.session import Session
from statemachines.session import (
    ACTIVE,
    MUST_BE_ACKNOWLEDGED,
    NEEDS_PERSON,
    ConnectionEvent,
    ConnectionState,
    SendingState,
)
from storage.sessions import SessionRecord

ON = "on"
OFF = "off"


async def start(session: Session, who: str) -> None:
    """Switch a session on; one that is on its way or ready already goes on as it is."""
    after = session.record
    if after.connection not in ACTIVE:
        after = _begun(session)
    await _commit(session, replace(after, desired=ON), who, "session_started")


async def restart(session: Session, who: str) -> None:
    """Begin again from the start; one that is starting already goes on as it is."""
    after = session.record
    if after.connection is not ConnectionState.STARTING:
        after = _begun(session)
    await _commit(session, replace(after, desired=ON), who, "session_restarted")


async def stop(session: Session, who: str) -> None:
    """Switch a session off. A ban or a block stays: stopping is no way round it."""
    after = _stopped(session, "stopped_by_person")
    await _commit(session, replace(after, desired=OFF), who, "session_stopped")


async def logout(session: Session, who: str) -> None:
    """Unlink the device and switch the session off; the next start shows a code."""
    if session.line is not None:
        await session.line.logout()
    elif session.linked and session.channel.open is not None:
        unlinking = unlink(session.channel.open, session.context())
        await within(session.around.clock, CLOSE_SECONDS, unlinking)
    after = session.life.unlinked(_stopped(session, "logged_out_by_person"))
    await _commit(session, replace(after, desired=OFF), who, "session_logged_out")


async def acknowledge(session: Session, who: str) -> None:
    """Confirm what happened. The session stays off; after a ban it will only reply for 14 days.

    Raises :class:`Conflict` while a ban lasts, and where there is nothing to confirm.
    """
    record = session.record
    if record.connection is ConnectionState.BANNED_TEMPORARILY and record.due_at is not None:
        raise Conflict(
            f"The ban on {record.name} lasts until {record.due_at:%Y-%m-%d %H:%M} UTC.",
            hint="Wait until then, and confirm afterwards.",
        )
    if record.connection in NEEDS_PERSON:
        heard = Heard(ConnectionEvent.ACKNOWLEDGE, "acknowledged")
        after = replace(session.life.hear(heard, session.now()), desired=OFF)
    elif record.sending is SendingState.REPLY_ONLY and record.sending_until is None:
        after = session.life.reopened("sending_reopened")
    else:
        raise Conflict(
            f"There is nothing to confirm about {record.name}: it is {record.connection}."
        )
    await _commit(session, after, who, "session_acknowledged")


async def restore(session: Session, at: datetime) -> None:
    """Go on from the stored state after the daemon restarted; who was connected dials ``at``.

    A code that ran out meanwhile stays run out; who is switched off stops.
    """
    record, now = session.record, session.now()
    if record.connection not in ACTIVE:
        return
    over = record.due_at is not None and record.due_at <= now
    if record.desired == OFF:
        after = _stopped(session, "stopped_by_person")
    elif record.connection is ConnectionState.AWAITING_SCAN and over:
        after = session.life.deadline(now)
    else:
        after = session.life.restart_after_daemon(now, at)
    await session.commit(after)


def _begun(session: Session) -> SessionRecord:
    """Return the record of a session that starts; refuse while a person must confirm first."""
    record = session.record
    if record.connection in MUST_BE_ACKNOWLEDGED:
        raise Conflict(
            f"The session {record.name} is {record.connection}; it can't start before that is"
            " confirmed.",
            hint=f"Look at what happened, then: leadmaster sessions acknowledge {record.name}",
        )
    stopped = record.connection is ConnectionState.STOPPED
    event = ConnectionEvent.START if stopped else ConnectionEvent.RESTART
    return session.life.hear(Heard(event, "started_by_person"), session.now())


def _stopped(session: Session, reason_code: str) -> SessionRecord:
    record = session.record
    if record.connection in MUST_BE_ACKNOWLEDGED | {ConnectionState.STOPPED}:
        return record
    return session.life.hear(Heard(ConnectionEvent.STOP, reason_code), session.now())


async def _commit(session: Session, after: SessionRecord, who: str, action: str) -> None:
    if after != session.record:
        await session.commit(after, who=who, action=action)
