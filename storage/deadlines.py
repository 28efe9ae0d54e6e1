"""Moves stored deadlines with a wall clock that was set back, so that each wait stays as long."""

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
_MAY_HAVE_LEASE = LEASED_STATES | {MessageState.HELD, MessageState.DEFERRED}
_IS_NO_BAN = f"connection <> '{ConnectionState.BANNED_TEMPORARILY}'"
"""The end of a ban is a moment that the platform named."""


def get_newest_event_time(reader: Reader) -> datetime | None:
    """Return when the newest event was: it was no later than this when the daemon last ran."""
    text = reader.value("SELECT at FROM events ORDER BY seq DESC LIMIT 1")
    return parse_timestamp(text) if text else None


def move_deadlines_back(tx: Tx, by: timedelta, *, now: datetime, seen: datetime) -> None:
    """Move what waits for a length of time, and what budgets count, back by as much as the clock.

    ``now`` is the moment by the clock as it is set now, ``seen`` when it was last looked at, by
    that same clock: what changed in between was stamped by it already. Moments that somebody
    named (`not_before`, `not_after`, the end of a ban) stay. A message that is judged
    again too early, because it waits for such a moment, is deferred until it once more.
    """
    shift = _format_shift(by)
    for column, states in (("due_at", _DEFERRED), ("lease_until", _MAY_HAVE_LEASE)):
        tx.execute(
            f"UPDATE messages SET {column} = {_shifted(column)} WHERE {column} IS NOT NULL"
            f" AND state IN {format_sql_list(states)} AND NOT changed_at BETWEEN ? AND ?",
            (shift, format_timestamp(seen), format_timestamp(now)),
        )
    for table, column, where in (
        ("spends", "at", "TRUE"),
        ("prospects", "checked_at", "TRUE"),
        ("prospects", "updated_at", f"validation = '{ValidationState.CHECKING}'"),
    ):
        tx.execute(
            f"UPDATE {table} SET {column} = {_shifted(column)} WHERE {column} > ? AND {where}",
            (shift, format_timestamp(now)),
        )


def move_session_deadlines_back(tx: Tx, by: timedelta) -> None:
    """Move the deadlines of sessions that nobody has loaded yet."""
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
