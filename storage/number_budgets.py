"""The append-only `number_budgets` table: who set which budget of a phone number, until when."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Row

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class NumberBudgetChange(Struct, frozen=True):
    """A budget that somebody set for one number, and the decision behind it where it raises.

    With ``raises`` it allows more than the settings do, until ``until``; else it allows this at
    most. ``reason`` and ``lower_when`` are of the decision, empty where none was needed.
    """

    id: int
    phone: str
    budget: str
    value: float
    raises: bool
    at: datetime
    who: str
    until: datetime | None
    reason: str
    lower_when: str


_CHANGES = (
    "SELECT b.*, d.reason, d.lower_when FROM number_budgets AS b"
    " LEFT JOIN decision_entries AS d ON d.id = b.decision"
)


def insert_number_budget(
    tx: Tx,
    *,
    phone: str,
    budget: str,
    value: float,
    raises: bool,
    at: datetime,
    who: str,
    until: datetime | None,
    decision: int | None,
) -> int:
    """Append what somebody set, and return its id; ``decision`` is the entry that allows it."""
    cursor = tx.execute(
        "INSERT INTO number_budgets (phone, budget, value, raises, at, who, until, decision)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            phone,
            budget,
            value,
            int(raises),
            format_timestamp(at),
            who,
            until and format_timestamp(until),
            decision,
        ),
    )
    return int(cursor.lastrowid or 0)


def read_number_budgets(reader: Reader, phone: str, now: datetime) -> dict[str, NumberBudgetChange]:
    """Return what holds for a number at a moment, by budget: the latest that has not ended."""
    rows = reader.all(
        f"{_CHANGES} WHERE b.id IN (SELECT max(id) FROM number_budgets WHERE phone = :phone"
        " AND at <= :now AND (until IS NULL OR until > :now) GROUP BY budget)",
        {"phone": phone, "now": format_timestamp(now)},
    )
    return {row["budget"]: _change_from_row(row) for row in rows}


def list_number_budget_changes(reader: Reader, phone: str, limit: int) -> list[NumberBudgetChange]:
    """Return what was set for a number, the latest first."""
    rows = reader.all(f"{_CHANGES} WHERE b.phone = ? ORDER BY b.id DESC LIMIT ?", (phone, limit))
    return [_change_from_row(row) for row in rows]


def find_number_budget_decision(reader: Reader, change: int) -> int | None:
    """Return the decision entry behind a change, or None where it needed none."""
    found: int | None = reader.value("SELECT decision FROM number_budgets WHERE id = ?", (change,))
    return found


def _change_from_row(row: Row) -> NumberBudgetChange:
    return NumberBudgetChange(
        id=row["id"],
        phone=row["phone"],
        budget=row["budget"],
        value=row["value"],
        raises=bool(row["raises"]),
        at=parse_timestamp(row["at"]),
        who=row["who"],
        until=row["until"] and parse_timestamp(row["until"]),
        reason=row["reason"] or "",
        lower_when=row["lower_when"] or "",
    )
