"""The append-only `decision_entries` table: what a person decided to allow, and why."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Row

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class DecisionEntry(Struct, frozen=True):
    """Who allowed a value for a subject, when and why; the latest entry of a subject counts.

    ``lower_when`` says what would take it back, ``until`` when it ends; empty and null: neither.
    """

    number: int
    at: datetime
    who: str
    subject: str
    value: float
    reason: str
    lower_when: str = ""
    until: datetime | None = None


def insert_decision_entry(
    tx: Tx,
    *,
    at: datetime,
    who: str,
    subject: str,
    value: float,
    reason: str,
    lower_when: str = "",
    until: datetime | None = None,
) -> DecisionEntry:
    """Append an entry, and return it."""
    cursor = tx.execute(
        "INSERT INTO decision_entries (at, who, subject, value, reason, lower_when, until)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            format_timestamp(at),
            who,
            subject,
            value,
            reason,
            lower_when,
            until and format_timestamp(until),
        ),
    )
    number = int(cursor.lastrowid or 0)
    return DecisionEntry(number, at, who, subject, value, reason, lower_when, until)


def find_decided_value(reader: Reader, subject: str) -> float | None:
    """Return the value of the latest entry of a subject, or None where nobody decided."""
    value: float | None = reader.value(
        "SELECT value FROM decision_entries WHERE subject = ? ORDER BY id DESC LIMIT 1", (subject,)
    )
    return value


def find_decision_entry(reader: Reader, subject: str) -> DecisionEntry | None:
    """Return the latest entry of a subject, or None where nobody decided."""
    row = reader.one(
        "SELECT * FROM decision_entries WHERE subject = ? ORDER BY id DESC LIMIT 1", (subject,)
    )
    return _entry_from_row(row) if row else None


def list_decision_entries(reader: Reader, limit: int) -> list[DecisionEntry]:
    """Return the entries, the latest first."""
    rows = reader.all("SELECT * FROM decision_entries ORDER BY id DESC LIMIT ?", (limit,))
    return [_entry_from_row(row) for row in rows]


def _entry_from_row(row: Row) -> DecisionEntry:
    return DecisionEntry(
        row["id"],
        parse_timestamp(row["at"]),
        row["who"],
        row["subject"],
        row["value"],
        row["reason"],
        row["lower_when"],
        row["until"] and parse_timestamp(row["until"]),
    )
