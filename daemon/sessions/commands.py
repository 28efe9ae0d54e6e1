"""What a person can do to a session, and how one goes on after a restart of the daemon.

Each runs in the session's mailbox, and returns when its effect is stored.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from daemon.errors import BadRequest, Conflict
from daemon.sessions.connection import CLOSE_SECONDS, run_with_timeout, unlink_device
from daemon.sessions.queue_disposal import QueueDisposal
from daemon.sessions.repository import acknowledge_number
from daemon.sessions.session import Session
from daemon.sessions.signal_mapping import ConnectionTrigger
from statemachines.qr import PairingMethod
from statemachines.session import (
    ACTIVE_STATES,
    MUST_ACKNOWLEDGE_STATES,
    NEEDS_PERSON_STATES,
    ConnectionEvent,
    ConnectionState,
    DesiredState,
    SendingState,
)
from statemachines.vocabulary import ReportedBan
from storage import bans
from storage.audit import insert_audit_entry
from storage.linking_answers import LinkingAnswers, insert_linking_answers
from storage.numbers import extend_reply_only, find_number, find_reply_only_end
from storage.sessions import SessionRecord
from storage.tx import Tx


async def start_session(session: Session, who: str) -> None:
    """Switch a session on; one that is active already is left as it is."""
    after = session.record
    if after.connection not in ACTIVE_STATES:
        after = _build_started_record(session)
    await _commit_command(session, replace(after, desired=DesiredState.ON), who, "session_started")


async def restart_session(session: Session, who: str) -> None:
    """Restart a session, and show QR codes; one that is starting already is left as it is."""
    after = session.record
    if after.connection is not ConnectionState.STARTING:
        after = _build_started_record(session)
    await _commit_command(
        session, replace(after, desired=DesiredState.ON), who, "session_restarted"
    )


async def request_pairing_code(session: Session, phone: str, who: str) -> None:
    """Start a session again, so that its phone is linked by a code that is typed on it.

    Also where it shows codes already: a code is valid for as long as the connection of its pairing,
    of which a part would be over. Raises :class:`Conflict` where a phone is linked, and
    :class:`BadRequest` where the channel knows no such code.
    """
    if not session.channel.capabilities.pairing.by_code:
        raise BadRequest(
            f"The channel {session.channel.name} can't link a phone by a code.",
            hint=f"Start the session instead: leadmaster sessions start {session.record.name}",
        )
    if session.is_linked:
        raise Conflict(
            f"A phone is linked to the session {session.record.name} already.",
            hint=f"Unlink it first: leadmaster sessions logout {session.record.name}",
        )
    was_starting = session.record.connection is ConnectionState.STARTING
    after = _build_started_record(session, phone)
    await _commit_command(
        session, replace(after, desired=DesiredState.ON), who, "session_pairing_code_requested"
    )
    if was_starting:
        await session.reconnect()


async def answer_linking_questions(session: Session, answers: LinkingAnswers) -> None:
    """Store what a person says about the number; a ban that they report closes new chats.

    A number that is linked after a ban only replies for its first 14 days here, also where the ban
    is reported after the number was linked.
    """
    name = session.record.name

    def store(tx: Tx) -> None:
        insert_linking_answers(tx, name, answers)
        said = {"number_age": answers.number_age.value, "banned": answers.banned.value}
        if answers.banned is ReportedBan.YES:
            _store_reported_ban(tx, session.record, answers)
        action = "linking_questions_answered"
        insert_audit_entry(tx, answers.at, answers.who, action, name, detail=said)

    await session.dependencies.database.write(store)
    if session.is_linked and session.record.phone:
        await session.commit(await session.limit_after_ban(session.record))


def _store_reported_ban(tx: Tx, record: SessionRecord, answers: LinkingAnswers) -> None:
    """Store a ban that a person reported, which counts as one that was seen here.

    On an unknown day it may have been a moment ago; else it counts from the end of its day.
    """
    at = answers.at
    if answers.banned_on is not None:
        next_day = answers.banned_on + timedelta(days=1)
        at = min(at, datetime.combine(next_day, time(), ZoneInfo(record.time_zone)))
    bans.insert_ban(tx, phone=None, session=record.name, at=at, reason_code=bans.REPORTED_BAN)
    if record.phone and (until := find_reply_only_end(tx, record.phone, record.name, answers.at)):
        extend_reply_only(tx, record.phone, until)


async def stop_session(session: Session, who: str) -> None:
    """Switch a session off. A ban or a block stays on record, to be confirmed before a start."""
    after = _build_stopped_record(session, "stopped_by_person")
    await _commit_command(session, replace(after, desired=DesiredState.OFF), who, "session_stopped")


async def log_out_session(session: Session, who: str) -> None:
    """Unlink the device and switch the session off; the next start shows a QR code."""
    await _commit_command(session, await _unlink(session), who, "session_logged_out")


async def delete_session(session: Session, disposal: QueueDisposal, who: str) -> None:
    """Unlink the device and delete the session; cancel or move its messages as was chosen."""
    after = await _unlink(session)
    await session.commit(after, who=who, action="session_deleted", deletion=disposal)


async def _unlink(session: Session) -> SessionRecord:
    """Unlink the device; return the session's record, unlinked and switched off."""
    if session.connection is not None:
        await session.connection.logout()
    elif session.is_linked:
        # Not connected: a transport is opened only to unlink. Its failure does not stop the logout,
        # which the phone's owner can finish under Linked devices.
        unlinking = unlink_device(session.channel, session.context(), session.store_received)
        await run_with_timeout(session.dependencies.clock, CLOSE_SECONDS, unlinking)
    after = session.transitions.unlink_phone(_build_stopped_record(session, "logged_out_by_person"))
    return replace(after, desired=DesiredState.OFF)


async def acknowledge_session(session: Session, who: str) -> None:
    """Confirm a ban, block or failure. The session stays off; after a ban it only replies, 14 days.

    Raises :class:`Conflict` while a ban lasts, and where there is nothing to confirm.
    """
    record = session.record
    if record.connection is ConnectionState.BANNED_TEMPORARILY and record.due_at is not None:
        raise Conflict(
            f"The ban on {record.name} lasts until {record.due_at:%Y-%m-%d %H:%M} UTC.",
            hint="Wait until then, and acknowledge it afterwards.",
        )
    if record.connection in NEEDS_PERSON_STATES:
        trigger = ConnectionTrigger(ConnectionEvent.ACKNOWLEDGE, "acknowledged")
        after = replace(
            session.transitions.apply_trigger(trigger, session.now()), desired=DesiredState.OFF
        )
    elif record.sending is SendingState.REPLY_ONLY and record.sending_until is None:
        after = await session.reopen_sending("sending_reopened")
    elif await _acknowledge_number_ban(session, who):
        return
    else:
        raise Conflict(
            f"There is nothing to acknowledge about {record.name}: it is {record.connection}."
        )
    await _commit_command(session, after, who, "session_acknowledged")


async def _acknowledge_number_ban(session: Session, who: str) -> bool:
    """Confirm the ban of the session's number that another session has, if there is one.

    That session may be deleted. Return whether there was one.

    Raises :class:`Conflict` while the ban lasts.
    """
    record, at = session.record, session.now()

    def job(tx: Tx) -> bool:
        number = find_number(tx, record.phone) if record.phone else None
        if number is None or number.banned_at is None:
            return False
        ban = bans.find_latest_ban(tx, number.phone)
        if ban is not None and ban.until is not None and ban.until > at:
            raise Conflict(
                f"The ban on the number of {record.name} lasts until {ban.until:%Y-%m-%d %H:%M}"
                " UTC.",
                hint="Wait until then, and acknowledge it afterwards.",
            )
        acknowledge_number(tx, number.phone, at)
        insert_audit_entry(tx, at, who, "session_acknowledged", record.name)
        return True

    return await session.dependencies.database.write(job)


async def restore_session(session: Session, at: datetime) -> None:
    """Continue from the stored state after a restart; a session that was active connects ``at``.

    One whose QR code expired meanwhile shows no new one, and neither does one that showed a code to
    be typed, for its number was never stored; one that is switched off stops.
    """
    record, now = session.record, session.now()
    if record.connection not in ACTIVE_STATES:
        return
    over = record.due_at is not None and record.due_at <= now
    by_code = record.pairing_method is PairingMethod.CODE
    if record.desired == DesiredState.OFF:
        after = _build_stopped_record(session, "stopped_by_person")
    elif record.connection is ConnectionState.AWAITING_SCAN and (over or by_code):
        after = session.transitions.apply_deadline(now)
    else:
        after = session.transitions.reconnect_after_restart(now, at)
    await session.commit(after)


def _build_started_record(session: Session, pairing_phone: str | None = None) -> SessionRecord:
    """Return the record of a starting session; raise where a ban must be confirmed first.

    With a ``pairing_phone`` it links that number by a code, else any by QR codes.
    """
    record = session.record
    if record.connection in MUST_ACKNOWLEDGE_STATES:
        raise Conflict(
            f"The session {record.name} is {record.connection}; it can't start before that is"
            " acknowledged.",
            hint=f"Look at what happened, then: leadmaster sessions acknowledge {record.name}",
        )
    # A session that waits to reconnect or failed is not stopped: to the machine that is a restart.
    stopped = record.connection is ConnectionState.STOPPED
    event = ConnectionEvent.START if stopped else ConnectionEvent.RESTART
    after = session.transitions.apply_trigger(
        ConnectionTrigger(event, "started_by_person"), session.now()
    )
    session.pairing.phone = pairing_phone
    method = PairingMethod.CODE if pairing_phone else PairingMethod.QR
    return replace(after, pairing_method=method)


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
