"""The `halts` table: an open row stops all sending, also after a restart."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.vocabulary import MessageKind
from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx

ANSWER_KINDS: Final = frozenset({MessageKind.REPLY, MessageKind.OPT_OUT_CONFIRMATION})
"""Kinds of messages that answer somebody."""


class HaltRecord(Struct, frozen=True):
    """A halt in force: who stopped sending, when and why.

    `stored` is false where the disk refused it, so that a restart would lose it.
    With `replies_go`, as after a restore, messages that answer somebody are sent all the same.
    """

    at: datetime
    who: str
    reason: str
    stored: bool = True
    replies_go: bool = False

    def stops(self, kind: str) -> bool:
        """Return whether a message of this kind waits until the halt is lifted."""
        return not (self.replies_go and kind in ANSWER_KINDS)


def get_current_halt(reader: Reader) -> HaltRecord | None:
    """Return the halt in force, or None where sending is not halted."""
    row = reader.one("SELECT at, who, reason, replies_go FROM halts WHERE lifted_at IS NULL")
    if row is None:
        return None
    at = parse_timestamp(row["at"])
    return HaltRecord(at, row["who"], row["reason"], replies_go=bool(row["replies_go"]))


def begin_halt(tx: Tx, *, at: datetime, who: str, reason: str, replies_go: bool = False) -> bool:
    """Begin a halt; return False where one is in force already, which stays as it is.

    One that lets replies go is made a whole one by one that does not.
    """
    current = get_current_halt(tx)
    if current and (replies_go or not current.replies_go):
        return False
    if current:
        lift_halt(tx, at=at, who=who, reason=reason)
    tx.execute(
        "INSERT INTO halts (at, who, reason, replies_go) VALUES (?, ?, ?, ?)",
        (format_timestamp(at), who, reason, replies_go),
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
