"""A session's status for people and clients: sentences for states and reasons, and the view."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from msgspec import Struct

from daemon.events import SessionChanged
from statemachines.qr import PairingMethod, QrState
from statemachines.session import (
    CAN_SEND_STATES,
    PHONE_UNLINKED_AFTER_DAYS,
    ConnectionState,
    PhoneState,
    SendingState,
)
from statemachines.vocabulary import BlockedBy
from storage.sessions import SessionRecord


class UserAction(StrEnum):
    """What a person should do now."""

    SCAN_QR = "scan_qr"
    ENTER_CODE = "enter_code"
    RESTART_PAIRING = "restart_pairing"
    OPEN_PHONE = "open_phone"
    WAIT_UNTIL = "wait_until"
    ACKNOWLEDGE = "acknowledge"
    UPGRADE = "upgrade"
    NONE = "none"


class StatusText(Struct, frozen=True):
    """A state as WAHA's status word, as a sentence, and as what a person should do."""

    status: str
    sentence: str
    action: UserAction


_A = UserAction

STATE_TEXTS: Mapping[ConnectionState, StatusText] = MappingProxyType(
    {
        ConnectionState.STOPPED: StatusText("STOPPED", "Stopped.", _A.NONE),
        ConnectionState.STARTING: StatusText("STARTING", "Starting.", _A.NONE),
        ConnectionState.AWAITING_SCAN: StatusText(
            "SCAN_QR_CODE", "Scan the code with the phone, under Linked devices.", _A.SCAN_QR
        ),
        ConnectionState.PAIRING: StatusText(
            "STARTING", "The phone has taken the code and is being linked.", _A.NONE
        ),
        ConnectionState.CONNECTING: StatusText(
            "STARTING", "Connecting with the stored login.", _A.NONE
        ),
        ConnectionState.SYNCING: StatusText(
            "STARTING", "Connected; loading what was missed.", _A.NONE
        ),
        ConnectionState.READY: StatusText("WORKING", "Ready.", _A.NONE),
        ConnectionState.DEGRADED: StatusText(
            "STARTING", "WhatsApp is not answering; nothing is sent until it does.", _A.NONE
        ),
        ConnectionState.BACKOFF: StatusText(
            "STARTING", "Not connected; the next attempt is at {deadline}.", _A.WAIT_UNTIL
        ),
        ConnectionState.QR_EXPIRED: StatusText(
            "FAILED",
            "Nobody scanned the code in time; start again to get a new one.",
            _A.RESTART_PAIRING,
        ),
        ConnectionState.LOGGED_OUT: StatusText(
            "FAILED",
            "The phone unlinked this device; link it again with a new code.",
            _A.RESTART_PAIRING,
        ),
        ConnectionState.BANNED_TEMPORARILY: StatusText(
            "FAILED", "WhatsApp banned the number until {deadline}; nothing is sent.", _A.WAIT_UNTIL
        ),
        ConnectionState.BLOCKED: StatusText(
            "FAILED",
            "WhatsApp blocked the account; acknowledge it before starting again.",
            _A.ACKNOWLEDGE,
        ),
        ConnectionState.REPLACED: StatusText(
            "FAILED",
            "Another program is using this login; close it, then start again.",
            _A.ACKNOWLEDGE,
        ),
        ConnectionState.OUTDATED: StatusText(
            "FAILED", "WhatsApp refuses this version: upgrade LeadMaster.", _A.UPGRADE
        ),
        ConnectionState.FAILED: StatusText(
            "FAILED", "The session has an error; see the reason, then restart it.", _A.ACKNOWLEDGE
        ),
    }
)
"""The text of every state. WAHA's two PASSKEY words are not used."""

REASON_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "created": "Created; start it to link a phone.",
        "daemon_restarted": "LeadMaster restarted; connecting again at {deadline}.",
        "stopped_by_person": "Stopped by a person.",
        "logged_out_by_person": "Unlinked by a person; the next start shows a new code.",
        "acknowledged": "Acknowledged by a person; it can be started.",
        "login_missing": "The stored login is gone; link the phone again with a new code.",
        "pairing_code_issued": (
            "Type the code on the phone: Linked devices, Link a device, Link with phone number"
            " instead."
        ),
        "pairing_code_expired": (
            "Nobody typed the code on the phone in time; start again to get a new one."
        ),
        "pairing_code_refused": (
            "WhatsApp gave no code for this number. Check the number; if it is right, wait a while,"
            " or link the phone by QR."
        ),
        "paired_other_number": (
            "Another number was linked than the one that was given, so it was unlinked again."
            " Start again with the right one."
        ),
        "pairing_refused": "The phone refused the pairing; start again to get a new code.",
        "passkey_requested": "The phone asks for a passkey, which this channel can't give.",
        "pairing_timed_out": "The pairing took too long; starting again.",
        "start_timed_out": (
            "The channel gave neither a code nor a login; the next attempt is at {deadline}."
        ),
        "connect_timed_out": "No connection in time; the next attempt is at {deadline}.",
        "keepalive_lost": "WhatsApp does not answer; nothing is sent until it does.",
        "line_silent": "WhatsApp has been silent for too long; nothing is sent until it answers.",
        "stream_error": "WhatsApp closed the connection; a new one is made in a moment.",
        "silent_too_long": "WhatsApp still did not answer; connecting again.",
        "disconnected": "The connection was lost; the next attempt is at {deadline}.",
        "server_trouble": "WhatsApp has trouble; the next attempt is at {deadline}.",
        "worker_died": "The channel's process ended; a new one starts at {deadline}.",
        "crashed_too_often": "The channel's process ended too often in a short time; see the log.",
        "channel_not_ready": "The channel can't be opened now; the next attempt is at {deadline}.",
        "channel_not_opened": "The channel can't be opened as it is configured; see the log.",
        "connection_refused": "WhatsApp refused the connection{retry}.",
        "banned_too_many_unknown_people": (
            "WhatsApp banned the number until {deadline}: too many messages to people "
            "who do not know it."
        ),
        "banned_blocked_by_people": (
            "WhatsApp banned the number until {deadline}: too many people blocked it."
        ),
        "banned_groups": "WhatsApp banned the number until {deadline}: its use of groups.",
        "banned_same_message": (
            "WhatsApp banned the number until {deadline}: the same message to too many people."
        ),
        "banned_broadcast": "WhatsApp banned the number until {deadline}: its use of broadcasts.",
        "ban_expired": "The ban is over; acknowledge it before starting again.",
        "phone_seen": "The phone was online again.",
        "sending_reopened": "New chats are open again.",
        "restriction_ended": "The restriction is over; new chats are open again.",
        "reply_only_after_ban": (
            "WhatsApp's restriction is over. After a ban, this number only replies for 14 days."
        ),
    }
)
"""Sentences for reasons that say more than their state; other reasons have the state's."""

BLOCK_SENTENCES: Mapping[BlockedBy, str] = MappingProxyType(
    {
        BlockedBy.SESSION_STOPPED: (
            "The session {session} is stopped. Start it: leadmaster sessions start {session}."
        ),
        BlockedBy.SESSION_UNLINKED: (
            "The session {session} is not linked to a phone. Start it and scan its code: "
            "leadmaster sessions start {session}, leadmaster sessions qr {session}."
        ),
        BlockedBy.SESSION_QR_EXPIRED: (
            "Nobody scanned the code of the session {session}. Ask for a new one: "
            "leadmaster sessions restart {session}, leadmaster sessions qr {session}."
        ),
        BlockedBy.SESSION_LOGGED_OUT: (
            "The phone unlinked the session {session}. Link it again: "
            "leadmaster sessions restart {session}, leadmaster sessions qr {session}."
        ),
        BlockedBy.SESSION_REPLACED: (
            "Another program is using the login of the session {session}. Close that program, "
            "then: leadmaster sessions restart {session}."
        ),
        BlockedBy.SESSION_BANNED_TEMPORARILY: (
            "WhatsApp banned the number of the session {session} for a time. When the ban is over, "
            "acknowledge it and start: leadmaster sessions acknowledge {session}, "
            "leadmaster sessions start {session}."
        ),
        BlockedBy.SESSION_BLOCKED: (
            "WhatsApp blocked the account of the session {session}. "
            "Acknowledge it: leadmaster sessions acknowledge {session}."
        ),
        BlockedBy.SESSION_OUTDATED: (
            "WhatsApp refuses the version that the session {session} uses. Upgrade it, then: "
            "leadmaster sessions restart {session}."
        ),
        BlockedBy.SESSION_FAILED: (
            "The session {session} has an error. See why with leadmaster sessions list, then: "
            "leadmaster sessions restart {session}."
        ),
        BlockedBy.SESSION_DELETED: (
            "The session {session} was deleted. Cancel the message with leadmaster queue cancel, "
            "and write it again from another session."
        ),
        BlockedBy.SESSION_REPLY_ONLY: (
            "New chats of the session {session} are closed; replies still go out. "
            "It goes out when WhatsApp or a person opens them: leadmaster sessions list."
        ),
        BlockedBy.NUMBER_BANNED: (
            "WhatsApp banned the number of the session {session}; nothing goes from it. When the "
            "ban is over, acknowledge it: leadmaster sessions acknowledge {session}."
        ),
    }
)
"""Why the messages of a session wait, and what a person can do about it."""


def describe_block(block: BlockedBy, session: str) -> str:
    """Return the sentence that says why the messages of a session wait."""
    return BLOCK_SENTENCES[block].format(session=session)


RETRY_SENTENCE = "The next attempt is at {deadline}."
RESTRICTION_SENTENCE = "New chats are closed {until}; replies still go out."
MISSING_PHONE_SENTENCE = (
    "The phone has been offline since {seen}; open WhatsApp on it, "
    "or it will be unlinked around {unlinked}."
)


def describe_session(record: SessionRecord) -> StatusText:
    """Return the status text of a session."""
    state = STATE_TEXTS[record.connection]
    sentences = [record.fault or _describe_reason(record, state)]
    if record.fault and record.connection is ConnectionState.BACKOFF:
        sentences.append(_fill_sentence(RETRY_SENTENCE, record))
    action = state.action
    by_code = record.pairing_method is PairingMethod.CODE
    if record.connection is ConnectionState.AWAITING_SCAN and by_code:
        action = _A.ENTER_CODE
    waits = record.connection in {ConnectionState.FAILED, ConnectionState.BANNED_TEMPORARILY}
    if waits:
        action = _A.WAIT_UNTIL if record.due_at else _A.ACKNOWLEDGE
    if record.connection is ConnectionState.READY and record.sending is SendingState.REPLY_ONLY:
        sentences.append(_describe_restriction(record))
        action = _A.WAIT_UNTIL if record.sending_until else _A.ACKNOWLEDGE
    if record.phone_state is PhoneState.UNSEEN and record.phone_seen_at:
        sentences.append(_describe_missing_phone(record, record.phone_seen_at))
        action = _A.OPEN_PHONE if action is _A.NONE else action
    return StatusText(state.status, " ".join(sentences), action)


def build_session_changed(record: SessionRecord, at: datetime) -> SessionChanged:
    """Return the event with the present state of a session."""
    words = describe_session(record)
    return SessionChanged(
        subject=record.name,
        at=at,
        state=record.connection,
        status=words.status,
        phone_state=record.phone_state,
        sending=record.sending,
        desired=record.desired,
        reason_code=record.reason_code,
        sentence=words.sentence,
        user_action=words.action,
        since=record.since,
        deadline=record.due_at,
        pairing=record.pairing,
        pairing_method=record.pairing_method,
    )


def _describe_reason(record: SessionRecord, state: StatusText) -> str:
    return _fill_sentence(REASON_SENTENCES.get(record.reason_code, state.sentence), record)


def _fill_sentence(sentence: str, record: SessionRecord) -> str:
    due = record.due_at
    return sentence.format(
        deadline=_format_time(due, record) if due else "once",
        retry=f"; one more attempt at {_format_time(due, record)}"
        if due
        else " again; see the log",
    )


def _describe_restriction(record: SessionRecord) -> str:
    until = record.sending_until
    end = (
        f"until {_format_time(until, record)}" if until else "until WhatsApp or a person opens them"
    )
    return RESTRICTION_SENTENCE.format(until=end)


def _describe_missing_phone(record: SessionRecord, seen: datetime) -> str:
    unlinked = seen + timedelta(days=PHONE_UNLINKED_AFTER_DAYS)
    return MISSING_PHONE_SENTENCE.format(
        seen=_format_date(seen, record), unlinked=_format_date(unlinked, record)
    )


def _format_time(at: datetime, record: SessionRecord) -> str:
    """Return a moment in the session's time zone, with the zone's city."""
    place = record.time_zone.rpartition("/")[2].replace("_", " ")
    return f"{at.astimezone(ZoneInfo(record.time_zone)):%Y-%m-%d %H:%M:%S} {place}"


def _format_date(at: datetime, record: SessionRecord) -> str:
    return at.astimezone(ZoneInfo(record.time_zone)).strftime("%Y-%m-%d")


class SessionView(Struct, frozen=True):
    """The present state of one session. Moments are aware UTC; ``status`` is WAHA's term.

    ``pairing`` is the state of the latest attempt to link a phone, ``pairing_method`` how: by QR
    codes, or by a code that is typed on it.
    """

    name: str
    channel: str
    phone: str | None
    time_zone: str
    state: ConnectionState
    status: str
    phone_state: PhoneState
    sending: SendingState
    desired: str
    reason_code: str
    sentence: str
    user_action: str
    since: datetime
    deadline: datetime | None
    sending_until: datetime | None
    banned_until: datetime | None
    phone_seen_at: datetime | None
    attempts: int
    pairing: QrState
    pairing_method: PairingMethod

    @property
    def ready(self) -> bool:
        """Return whether the connection is up; ``sending`` says what may be sent through it."""
        return self.state in CAN_SEND_STATES


def build_session_view(record: SessionRecord) -> SessionView:
    """Return the view of a session."""
    words = describe_session(record)
    return SessionView(
        name=record.name,
        channel=record.channel,
        phone=record.phone,
        time_zone=record.time_zone,
        state=record.connection,
        status=words.status,
        phone_state=record.phone_state,
        sending=record.sending,
        desired=record.desired,
        reason_code=record.reason_code,
        sentence=words.sentence,
        user_action=words.action,
        since=record.since,
        deadline=record.due_at,
        sending_until=record.sending_until,
        banned_until=record.banned_until,
        phone_seen_at=record.phone_seen_at,
        attempts=record.attempts,
        pairing=record.pairing,
        pairing_method=record.pairing_method,
    )
