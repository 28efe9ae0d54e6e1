"""Moves stored times when the wall clock is set, so that each wait and budget stays as long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from statemachines.message import LEASED_STATES, MessageState
from statemachines.prospect import ValidationState
from statemachines.session import ConnectionState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader, Tx

_DEFERRED = frozenset({MessageState.DEFERRED})
# A held or deferred message has a lease while a person reviews it.
_MAY_HAVE_LEASE = LEASED_STATES | {MessageState.HELD, MessageState.DEFERRED}
_IS_NO_BAN = f"connection <> '{ConnectionState.BANNED_TEMPORARILY}'"
"""The end of a ban does not move: the platform named it as a moment."""


def get_newest_event_time(reader: Reader) -> datetime | None:
    """Return the time of the newest event, or None: the clock was at least there before."""
    text = reader.value("SELECT at FROM events ORDER BY seq DESC LIMIT 1")
    return parse_timestamp(text) if text else None


def move_deadlines_back(tx: Tx, by: timedelta, *, now: datetime, seen: datetime) -> None:
    """Move deadlines of messages, spends and checks back by as much as the clock was set back.

    ``now`` is the present moment, and ``seen`` the last comparison of the clocks, both by the clock
    as it is set now. Moments that somebody named (`not_before`, `not_after`, the end of a ban)
    stay as they are.
    """
    shift = _format_shift(by)
    # A row that changed between `seen` and `now` was stamped by the new clock already. `due_at` may
    # also be a named moment: its message is then judged too early, and deferred once more.
    for column, states in (("due_at", _DEFERRED), ("lease_until", _MAY_HAVE_LEASE)):
        tx.execute(
            f"UPDATE messages SET {column} = {_shifted(column)} WHERE {column} IS NOT NULL"
            f" AND state IN {format_sql_list(states)} AND NOT changed_at BETWEEN ? AND ?",
            (shift, format_timestamp(seen), format_timestamp(now)),
        )
    # Only what would lie in the future: a budget would count it for too long.
    for table, column, where in (
        ("spends", "at", "TRUE"),
        ("numbers", "first_linked_at", "TRUE"),
        ("bans", "at", "TRUE"),
        ("prospects", "checked_at", "TRUE"),
        ("prospects", "updated_at", f"validation = '{ValidationState.CHECKING}'"),
    ):
        tx.execute(
            f"UPDATE {table} SET {column} = {_shifted(column)} WHERE {column} > ? AND {where}",
            (shift, format_timestamp(now)),
        )


def move_budgets_on(tx: Tx, by: timedelta, *, seen: datetime) -> None:
    """Move what budgets count from on by as much as the clock was set forward.

    A jump of the clock is no time that has passed: budgets, a number's age and the stops after a
    ban last as long as without it. ``seen`` is the last comparison of the clocks, by the clock as
    it is set now; what has a later time was stamped by it already.
    """
    shift = f"+{by.total_seconds():.3f} seconds"
    moments = (
        ("spends", "at"),
        ("numbers", "first_linked_at"),
        ("numbers", "reply_only_until"),
        ("bans", "at"),
    )
    for table, column in moments:
        # An end that lies ahead moves, too: it was counted from the time before.
        ahead = column == "reply_only_until"
        tx.execute(
            f"UPDATE {table} SET {column} = {_shifted(column)}"
            f" WHERE {column} IS NOT NULL AND (? OR {column} < ?)",
            (shift, ahead, format_timestamp(seen)),
        )


def move_session_deadlines_back(tx: Tx, by: timedelta) -> None:
    """Move the stored deadlines of sessions, at a start, before they are loaded."""
    tx.execute(
        f"UPDATE sessions SET due_at = {_shifted('due_at')}"
        f" WHERE due_at IS NOT NULL AND {_IS_NO_BAN}",
        (_format_shift(by),),
    )


def _shifted(column: str) -> str:
    """Return SQL for a moment moved by a parameter, in the format of `format_timestamp`."""
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column}, ?)"


def _format_shift(by: timedelta) -> str:
    return f"-{by.total_seconds():.3f} seconds"
