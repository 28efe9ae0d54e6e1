"""The `halts` table: an open row stops all sending, also after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class HaltRecord:
    """A halt in force: who stopped sending, when and why."""

    at: datetime
    who: str
    reason: str


def get_current_halt(reader: Reader) -> HaltRecord | None:
    """Return the halt in force, or None where sending is not halted."""
    row = reader.one("SELECT at, who, reason FROM halts WHERE lifted_at IS NULL")
    return HaltRecord(parse_timestamp(row["at"]), row["who"], row["reason"]) if row else None


def begin_halt(tx: Tx, *, at: datetime, who: str, reason: str) -> bool:
    """Begin a halt; return False where one is in force already, which stays as it is."""
    if get_current_halt(tx):
        return False
    tx.execute(
        "INSERT INTO halts (at, who, reason) VALUES (?, ?, ?)", (format_timestamp(at), who, reason)
    )
    return True


def lift_halt(tx: Tx, *, at: datetime, who: str, reason: str) -> bool:
    """Lift the halt in force; return False when there is none."""
    return bool(
        tx.execute(
            "UPDATE halts SET lifted_at = ?, lifted_by = ?, lifted_reason = ?"
            " WHERE lifted_at IS NULL",
            (format_timestamp(at), who, reason),
        ).rowcount
    )
