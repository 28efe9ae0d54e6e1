"""What wakes a person, read from what the daemon knows at one moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from daemon.backup.status import UNREADABLE_CODE, BackupConcern
from daemon.outbox.pacing import NEW_CHATS_STOPPED_SENTENCE, NUMBER_BANNED_SENTENCE
from daemon.sessions.status import SessionView, describe_block
from daemon.settings import AlertSettings
from statemachines.message import MessageState
from statemachines.session import TRANSIENT_STATES, ConnectionState, PhoneState
from statemachines.vocabulary import AlertCode
from storage import bans, console_queries, numbers, session_queue, sessions
from storage.errors import StorageError
from storage.halts import HaltRecord
from storage.tx import Reader

INSTALLATION: Final = "installation"
"""The subject of what concerns no single session."""
QUEUE_GRACE: Final = timedelta(minutes=15)
"""Messages that wait for a session for so long wake somebody."""
_BANNED: Final = frozenset({ConnectionState.BANNED_TEMPORARILY, ConnectionState.BLOCKED})
_DOWN: Final = frozenset(
    {ConnectionState.REPLACED, ConnectionState.OUTDATED, ConnectionState.FAILED}
)
_RECONNECTING: Final = TRANSIENT_STATES | {ConnectionState.FAILED}
"""Not connected, and tries to be; where a failed session does not, that is an alert of its own."""
_BACKUP_CODES: Final = {
    "backup_failed": AlertCode.BACKUP_FAILED,
    "backup_late": AlertCode.BACKUP_LATE,
    UNREADABLE_CODE: AlertCode.BACKUP_FAILED,
}
_KNOWN_UNSTORED: Final = frozenset({AlertCode.NUMBER_BANNED, AlertCode.SESSION_LOGGED_OUT})
"""What is notified also where nothing can be stored. The rest was notified before, or can wait."""
_NUMBER: Final = re.compile(r"\+?\d{7,}")


class AlertCondition(Struct, frozen=True):
    """Something that is wrong: with what, since when, and a sentence without a whole number."""

    code: AlertCode
    subject: str
    since: datetime
    sentence: str


class DaemonState(Struct, frozen=True):
    """What is known without a query."""

    views: Sequence[SessionView]
    halt: HaltRecord | None
    concerns: Sequence[BackupConcern]
    refusal: StorageError | None


def find_conditions(
    reader: Reader, state: DaemonState, settings: AlertSettings, now: datetime
) -> list[AlertCondition]:
    """Return everything that wakes a person now. One session has one condition, its worst."""
    found = [
        *find_unqueried_conditions(state, now),
        *_find_ban_conditions(reader, state.views),
        *_find_disconnected_conditions(reader, state.views, settings, now),
        *_find_breaker_conditions(reader, state.views),
        *_find_review_conditions(reader, timedelta(hours=settings.review_hours), now),
    ]
    down = {each.subject for each in found if each.code in SESSION_CODES}
    found += _find_queue_conditions(reader, down, now)
    return _keep_worst(found)


SESSION_CODES: Final = (
    AlertCode.NUMBER_BANNED,
    AlertCode.SESSION_LOGGED_OUT,
    AlertCode.SESSION_DOWN,
    AlertCode.SESSION_DISCONNECTED,
    AlertCode.PHONE_UNSEEN,
)
"""What keeps a session from sending, the worst first."""


def _keep_worst(found: Sequence[AlertCondition]) -> list[AlertCondition]:
    """Leave out what is a part of something worse with the same session."""
    worst: dict[str, int] = {}
    for each in found:
        if each.code in SESSION_CODES:
            rank = SESSION_CODES.index(each.code)
            worst[each.subject] = min(rank, worst.get(each.subject, rank))
    kept = {
        (each.code, each.subject): each
        for each in reversed(found)
        if each.code not in SESSION_CODES or SESSION_CODES.index(each.code) == worst[each.subject]
    }
    return list(reversed(kept.values()))


def find_unqueried_conditions(state: DaemonState, now: datetime) -> Iterator[AlertCondition]:
    """Yield what can be known without the database, which may be what is wrong."""
    if state.refusal is not None:
        yield AlertCondition(
            AlertCode.WRITES_REFUSED, INSTALLATION, now, hide_numbers(state.refusal.sentence)
        )
    if (halt := state.halt) is not None:
        yield AlertCondition(AlertCode.HALT, INSTALLATION, halt.at, describe_halt(halt))
    for concern in state.concerns:
        if (code := _BACKUP_CODES.get(concern.code)) is not None:
            yield AlertCondition(code, INSTALLATION, concern.since, hide_numbers(concern.sentence))
    for view in state.views:
        yield from _find_session_conditions(view)


def find_unstored_conditions(
    state: DaemonState, error: StorageError, now: datetime
) -> Iterator[AlertCondition]:
    """Yield what is wrong where the database took nothing: that, and what is known without it."""
    sentence = hide_numbers(error.sentence)
    yield AlertCondition(AlertCode.WRITES_REFUSED, INSTALLATION, now, sentence)
    for found in find_unqueried_conditions(state, now):
        if found.code in _KNOWN_UNSTORED:
            yield found


def describe_halt(halt: HaltRecord) -> str:
    """Return who stopped sending; the reason is a person's own text, and may hold anything."""
    return (
        f"Only replies are sent, since {halt.who} restored a backup."
        if halt.replies_go
        else f"{halt.who} stopped all sending."
    )


def _find_session_conditions(view: SessionView) -> Iterator[AlertCondition]:
    def build(code: AlertCode, since: datetime) -> AlertCondition:
        return AlertCondition(code, view.name, since, _about(view.name, view.sentence))

    if view.state in _BANNED:
        yield build(AlertCode.NUMBER_BANNED, view.since)
    elif _is_logged_out(view):
        yield build(AlertCode.SESSION_LOGGED_OUT, view.since)
    elif view.state in _DOWN and view.deadline is None:
        yield build(AlertCode.SESSION_DOWN, view.since)
    if view.phone_state is PhoneState.UNSEEN:
        yield build(AlertCode.PHONE_UNSEEN, view.phone_seen_at or view.since)


def _is_logged_out(view: SessionView) -> bool:
    """Return whether the phone unlinked the session, and it is not linked again."""
    unlinked = view.phone_state is PhoneState.UNLINKED and view.phone is not None
    return view.state is ConnectionState.LOGGED_OUT or (
        unlinked and view.state is not ConnectionState.STOPPED
    )


def _find_ban_conditions(reader: Reader, views: Sequence[SessionView]) -> Iterator[AlertCondition]:
    """Yield each session whose number was banned, until a person has acknowledged that."""
    for name, number in _list_session_numbers(reader, views):
        ban = bans.find_latest_ban(reader, number.phone)
        if number.banned_at is not None:
            since = ban.at if ban else number.banned_at
            sentence = _about(name, NUMBER_BANNED_SENTENCE)
            yield AlertCondition(AlertCode.NUMBER_BANNED, name, since, sentence)


def _find_disconnected_conditions(
    reader: Reader, views: Sequence[SessionView], settings: AlertSettings, now: datetime
) -> Iterator[AlertCondition]:
    """Yield each session that should run, and has not been connected for long."""
    minutes = settings.disconnected_minutes
    for view in views:
        if view.phone is None or view.state not in _RECONNECTING:
            continue  # nobody linked a phone yet, or it does not try
        # By the history: what a session is in now began with its last attempt.
        since = sessions.find_reconnecting_since(reader, view.name) or view.since
        if now - since >= timedelta(minutes=minutes):
            sentence = (
                f"Not connected for more than {minutes:g} minutes; it keeps trying. "
                "See why with leadmaster sessions list."
            )
            code = AlertCode.SESSION_DISCONNECTED
            yield AlertCondition(code, view.name, since, _about(view.name, sentence))


def _find_breaker_conditions(
    reader: Reader, views: Sequence[SessionView]
) -> Iterator[AlertCondition]:
    for name, number in _list_session_numbers(reader, views):
        if number.new_chats_stopped_at is not None and number.banned_at is None:
            yield AlertCondition(
                AlertCode.NEW_CHATS_STOPPED,
                name,
                number.new_chats_stopped_at,
                _about(name, NEW_CHATS_STOPPED_SENTENCE),
            )


def _list_session_numbers(
    reader: Reader, views: Sequence[SessionView]
) -> list[tuple[str, numbers.PhoneNumberRecord]]:
    session_of = {view.phone: view.name for view in reversed(views) if view.phone is not None}
    return [
        (session_of[number.phone], number)
        for number in numbers.list_numbers(reader)
        if number.phone in session_of
    ]


def _find_queue_conditions(
    reader: Reader, down: set[str], now: datetime
) -> Iterator[AlertCondition]:
    """Yield each session for which messages wait; not where it has an alert of its own."""
    for found in session_queue.list_blocked_counts(reader):
        if found.session not in down and now - found.since >= QUEUE_GRACE:
            sentence = describe_block(found.blocked_by, found.session)
            yield AlertCondition(AlertCode.QUEUE_BLOCKED, found.session, found.since, sentence)


def _find_review_conditions(
    reader: Reader, age: timedelta, now: datetime
) -> Iterator[AlertCondition]:
    held = console_queries.count_messages_in_states(reader, [MessageState.HELD])
    unread = console_queries.count_unread_inbound(reader)
    since = min((each.since for each in (held, unread) if each.since is not None), default=now)
    if now - since >= age:
        hours = f"{age / timedelta(hours=1):g}"
        sentence = f"Somebody has waited for a decision in the review for more than {hours} h."
        yield AlertCondition(AlertCode.REVIEW_LATE, INSTALLATION, since, sentence)


def _about(session: str, sentence: str) -> str:
    return f"{session}: {hide_numbers(sentence)}"


def hide_numbers(sentence: str) -> str:
    """Return a sentence without what may be a whole phone number."""
    return _NUMBER.sub("…", sentence)
