"""Finds messages of ours of which nothing came: without an answer, a receipt, or a number."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import LEFT_STATES, MessageState
from statemachines.vocabulary import MessageKind
from storage.column_formats import format_timestamp, parse_timestamp
from storage.outcomes import IS_STANDING, Outcome
from storage.sql_text import format_sql_list
from storage.validation_queries import NOT_ON_WHATSAPP
from storage.waiting import ANSWERABLE, HEARD_AT, LEFT_AT

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader

LOOKBACK: Final = timedelta(days=90)
"""How old a message may be of which an outcome is still recorded by itself."""
_MAX_ROWS: Final = 2000
_LEFT: Final = format_sql_list(LEFT_STATES)
_FAILED_LATER: Final = f"(m.state = '{MessageState.FAILED}' AND m.sent_at IS NOT NULL)"
_ANSWERED: Final = (
    "EXISTS (SELECT 1 FROM inbound AS i WHERE i.contact = m.contact"
    f" AND {ANSWERABLE.format(i='i')} AND {HEARD_AT} >= {LEFT_AT})"
)
_HAS_OUTCOME_SINCE: Final = (
    "EXISTS (SELECT 1 FROM outcomes AS o WHERE o.contact = m.contact"
    f" AND o.at >= {LEFT_AT} AND {IS_STANDING})"
)
_HAS_OUTCOME: Final = (
    "EXISTS (SELECT 1 FROM outcomes AS o WHERE o.message = m.id"
    f" AND o.outcome = '{{outcome}}' AND {IS_STANDING})"
)
_SELECT: Final = (
    f"SELECT m.id, m.contact, m.recipient, m.state, s.time_zone, {LEFT_AT} AS left_at"
    " FROM messages AS m JOIN sessions AS s ON s.name = m.session"
    " WHERE (:message = '' OR m.id = :message) AND m.created_at >= :since AND m.recipient <> ''"
)
_IS_LATEST: Final = (
    "NOT EXISTS (SELECT 1 FROM messages AS later WHERE later.contact = m.contact"
    f" AND later.kind = '{MessageKind.COMMERCIAL}' AND later.state IN {_LEFT}"
    " AND later.created_at > m.created_at)"
)


class UnansweredMessage(Struct, frozen=True, kw_only=True):
    """A message of ours of which nothing came yet: its recipient, and when it left.

    ``time_zone`` is its session's, for a number of which none is known.
    """

    id: str
    contact: str
    recipient: str
    state: MessageState
    time_zone: str
    left_at: datetime

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return f"UnansweredMessage({self.id!r})"


def list_silent_messages(
    reader: Reader, now: datetime, *, left_before: datetime, message: str = ""
) -> list[UnansweredMessage]:
    """Return the last commercial message to each contact who has not answered it, the oldest first.

    It left by ``left_before``, and no outcome was recorded since. With ``message``, this one alone.
    """
    return _list_messages(
        reader,
        f"m.kind = '{MessageKind.COMMERCIAL}' AND m.state IN {_LEFT} AND {LEFT_AT} <= :before"
        f" AND {_IS_LATEST} AND NOT {_ANSWERED} AND NOT {_HAS_OUTCOME_SINCE}",
        now,
        before=left_before,
        message=message,
    )


def list_undelivered_messages(
    reader: Reader,
    now: datetime,
    *,
    left_before: datetime,
    channels: Collection[str],
    message: str = "",
) -> list[UnansweredMessage]:
    """Return messages that did not arrive, and whose outcome is not recorded, the oldest first.

    Without a receipt, where they left by ``left_before`` through ``channels``, which report
    delivery, and nobody answered; or with one that says so.
    """
    names = ", ".join(f"'{each}'" for each in sorted(channels)) or "NULL"
    outcome = _HAS_OUTCOME.format(outcome=Outcome.NOT_DELIVERED)
    return _list_messages(
        reader,
        f"m.kind <> '{MessageKind.OPT_OUT_CONFIRMATION}' AND ({_FAILED_LATER}"
        f" OR (m.state = '{MessageState.SENT}' AND m.channel IN ({names})"
        f" AND {LEFT_AT} <= :before AND NOT {_ANSWERED})) AND NOT {outcome}",
        now,
        before=left_before,
        message=message,
    )


def list_messages_to_no_number(
    reader: Reader, now: datetime, *, message: str = ""
) -> list[UnansweredMessage]:
    """Return messages refused because the number is not on WhatsApp, without that outcome."""
    outcome = _HAS_OUTCOME.format(outcome=Outcome.NUMBER_DOES_NOT_EXIST)
    return _list_messages(
        reader,
        f"m.state = '{MessageState.FAILED}' AND m.reason_code = '{NOT_ON_WHATSAPP}'"
        f" AND NOT {outcome}",
        now,
        before=now,
        message=message,
    )


def get_latest_left(reader: Reader, contact: str) -> UnansweredMessage | None:
    """Return the last message to a contact that left, or that failed afterwards, or None."""
    row = reader.one(
        f"{_SELECT} AND m.contact = :contact AND (m.state IN {_LEFT} OR {_FAILED_LATER})"
        " ORDER BY m.created_at DESC, m.id DESC LIMIT 1",
        {"message": "", "since": "", "contact": contact},
    )
    return None if row is None else _message_from_row(row)


def is_answered(reader: Reader, message: str) -> bool:
    """Return whether its contact wrote after a message of ours left."""
    found = reader.value(f"SELECT 1 FROM messages AS m WHERE m.id = ? AND {_ANSWERED}", (message,))
    return found is not None


def count_undelivered_in_a_row(reader: Reader, contact: str, most: int) -> int:
    """Return how many of the last messages to a contact did not arrive, one after another."""
    rows = reader.all(
        f"SELECT {_HAS_OUTCOME.format(outcome=Outcome.NOT_DELIVERED)} AS undelivered"
        f" FROM messages AS m WHERE m.contact = ? AND (m.state IN {_LEFT} OR {_FAILED_LATER})"
        " ORDER BY m.created_at DESC, m.id DESC LIMIT ?",
        (contact, most),
    )
    found = [bool(row["undelivered"]) for row in rows]
    return found.index(False) if False in found else len(found)


def _list_messages(
    reader: Reader, where: str, now: datetime, *, before: datetime, message: str = ""
) -> list[UnansweredMessage]:
    rows = reader.all(
        f"{_SELECT} AND {where} ORDER BY left_at, m.id LIMIT :limit",
        {
            "message": message,
            "since": format_timestamp(now - LOOKBACK),
            "before": format_timestamp(before),
            "limit": _MAX_ROWS,
        },
    )
    return [_message_from_row(row) for row in rows]


def _message_from_row(row: sqlite3.Row) -> UnansweredMessage:
    return UnansweredMessage(
        id=row["id"],
        contact=row["contact"],
        recipient=row["recipient"],
        state=MessageState(row["state"]),
        time_zone=row["time_zone"],
        left_at=parse_timestamp(row["left_at"]),
    )
