"""What a morning begins with: the phones, the night, who waits, and what leaves today by itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import MessageState
from statemachines.vocabulary import BuiltinChannel
from storage.bans import REPORTED_BAN
from storage.column_formats import format_timestamp, parse_timestamp
from storage.halts import ANSWER_KINDS, get_current_halt
from storage.sessions import SessionRecord, list_sessions
from storage.sql_text import format_sql_list
from storage.waiting import list_unanswered

if TYPE_CHECKING:
    from storage.tx import Reader


class NightTroubleKind(StrEnum):
    """What can go wrong while nobody looks."""

    EXPIRED = "expired"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    BANNED = "banned"
    NEW_CHATS_STOPPED = "new_chats_stopped"
    QUARANTINED = "quarantined"
    BACKUP = "backup"


class NightTrouble(Struct, frozen=True):
    """What went wrong, how often and since when; `name`: of the person or session it first hit."""

    kind: NightTroubleKind
    count: int
    since: datetime
    name: str


class Departures(Struct, frozen=True):
    """How many messages of a session leave by themselves, the first one not before ``first_at``.

    Those that begin a chat are apart, because a number has a budget of them.
    """

    session: str
    first_contact: bool
    count: int
    first_at: datetime


class WaitingPeople(Struct, frozen=True):
    """How many people wait for our answer, since when the first of them does, and who that is."""

    count: int
    since: datetime | None
    contact: str | None


class MorningRecord(Struct, frozen=True):
    """The four answers as stored; budgets and the backup are not in them."""

    phones: tuple[SessionRecord, ...]
    troubles: tuple[NightTrouble, ...]
    waiting: WaitingPeople
    departures: tuple[Departures, ...]


_ENDED_BADLY: Final = format_sql_list(
    {MessageState.EXPIRED, MessageState.FAILED, MessageState.IN_DOUBT}
)
_TROUBLES: Final = (
    "SELECT m.state AS kind, m.changed_at AS at, coalesce(nullif(p.name, ''), m.recipient) AS name"
    " FROM messages AS m LEFT JOIN prospects AS p ON p.contact = m.contact"
    f" WHERE m.state IN {_ENDED_BADLY} AND m.changed_at >= :since"
    f" UNION ALL SELECT '{NightTroubleKind.BANNED}', b.at, b.session FROM bans AS b"
    f" WHERE b.at >= :since AND b.reason_code <> '{REPORTED_BAN}'"
    f" UNION ALL SELECT '{NightTroubleKind.NEW_CHATS_STOPPED}', t.at, coalesce((SELECT s.name"
    " FROM sessions AS s WHERE s.phone = t.phone ORDER BY s.created_at DESC LIMIT 1), '')"
    " FROM breaker_trips AS t WHERE t.at >= :since AND t.resumed_at IS NULL"
    f" UNION ALL SELECT '{NightTroubleKind.QUARANTINED}', q.received_at, ''"
    " FROM quarantined_signals AS q WHERE q.received_at >= :since AND q.settled_at IS NULL"
)
# What waits for an event, a person or another phone does not leave by itself.
_LEAVES: Final = (
    f"m.state IN {format_sql_list({MessageState.CLEARED, MessageState.DEFERRED})}"
    f" AND m.channel <> '{BuiltinChannel.MANUAL}' AND m.waits_for IS NULL AND m.blocked_by IS NULL"
    " AND coalesce(m.not_before, '') < :until AND (m.state = 'cleared'"
    " OR m.due_at < :until AND m.due_at < m.not_after)"
)
_FIRST_AT: Final = "max(:now, coalesce(m.not_before, ''), coalesce(m.due_at, ''))"


def read_morning(
    reader: Reader, *, since: datetime, now: datetime, until: datetime
) -> MorningRecord:
    """Return the four answers: what went wrong since ``since``, what leaves before ``until``."""
    return MorningRecord(
        phones=tuple(list_sessions(reader)),
        troubles=tuple(_list_troubles(reader, since)),
        waiting=_find_waiting(reader, now),
        departures=tuple(_list_departures(reader, now, until)),
    )


def _find_waiting(reader: Reader, now: datetime) -> WaitingPeople:
    waiting = [each for each in list_unanswered(reader, now) if each.waits]
    if not waiting:
        return WaitingPeople(0, None, None)
    return WaitingPeople(len(waiting), waiting[0].since, waiting[0].contact)


def _list_troubles(reader: Reader, since: datetime) -> list[NightTrouble]:
    # SQLite takes the other columns of a group from the row that has the minimum.
    rows = reader.all(
        f"SELECT kind, count(*) AS n, min(at) AS since, name FROM ({_TROUBLES})"
        " GROUP BY kind ORDER BY since, kind",
        {"since": format_timestamp(since)},
    )
    return [
        NightTrouble(
            NightTroubleKind(row["kind"]), row["n"], parse_timestamp(row["since"]), row["name"]
        )
        for row in rows
    ]


def _list_departures(reader: Reader, now: datetime, until: datetime) -> list[Departures]:
    halt = get_current_halt(reader)
    if halt is not None and not halt.replies_go:
        return []
    goes = f" AND m.kind IN {format_sql_list(ANSWER_KINDS)}" if halt else ""
    rows = reader.all(
        f"SELECT m.session, m.first_contact, count(*) AS n, min({_FIRST_AT}) AS first_at"
        f" FROM messages AS m WHERE {_LEAVES}{goes} GROUP BY m.session, m.first_contact"
        " ORDER BY m.session, m.first_contact",
        {"now": format_timestamp(now), "until": format_timestamp(until)},
    )
    return [
        Departures(
            row["session"], bool(row["first_contact"]), row["n"], parse_timestamp(row["first_at"])
        )
        for row in rows
    ]
