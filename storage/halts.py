"""The halt: one open row stops everything that would go out, also after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from storage.times import parse, stamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class HaltRecord:
    """Who stopped sending, when and why."""

    at: datetime
    who: str
    reason: str


def current(reader: Reader) -> HaltRecord | None:
    """Return the halt in force, or None when messages may go."""
    row = reader.one("SELECT at, who, reason FROM halts WHERE lifted_at IS NULL")
    return HaltRecord(parse(row["at"]), row["who"], row["reason"]) if row else None


def begin(tx: Tx, *, at: datetime, who: str, reason: str) -> bool:
    """Halt; return False when a halt is in force already (it stays as it is)."""
    if current(tx):
        return False
    tx.execute("INSERT INTO halts (at, who, reason) VALUES (?, ?, ?)", (stamp(at), who, reason))
    return True


def lift(tx: Tx, *, at: datetime, who: str, reason: str) -> bool:
    """Lift the halt in force; return False when there is none."""
    return bool(
        tx.execute(
            "UPDATE halts SET lifted_at = ?, lifted_by = ?, lifted_because = ?"
            " WHERE lifted_at IS NULL",
            (stamp(at), who, reason),
        ).rowcount
    )
