"""The `breaker_trips` table: why the new chats of a number were stopped, and who resumed them."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Row

from msgspec import Struct

from statemachines.vocabulary import BreakerCause
from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class BreakerTrip(Struct, frozen=True):
    """Why new chats were stopped, and since when; ``detail`` has what was counted, or announced.

    The fields of the resume are None where nobody has resumed them.
    """

    at: datetime
    cause: BreakerCause
    detail: str
    resumed_at: datetime | None
    resumed_by: str | None
    resumed_reason: str | None


def insert_breaker_trip(
    tx: Tx, phone: str, *, at: datetime, cause: BreakerCause, detail: str
) -> int | None:
    """Store why new chats are stopped, and return its id; None where the cause is on record."""
    open_cause = "SELECT 1 FROM breaker_trips WHERE phone = ? AND cause = ? AND resumed_at IS NULL"
    if tx.value(open_cause, (phone, cause)):
        return None
    done = tx.execute(
        "INSERT INTO breaker_trips (phone, at, cause, detail) VALUES (?, ?, ?, ?)",
        (phone, format_timestamp(at), cause, detail),
    )
    return done.lastrowid


def mark_trips_resumed(tx: Tx, phone: str, *, at: datetime, who: str, reason: str) -> None:
    """Store who resumed the new chats of a number, and why."""
    tx.execute(
        "UPDATE breaker_trips SET resumed_at = ?, resumed_by = ?, resumed_reason = ?"
        " WHERE phone = ? AND resumed_at IS NULL",
        (format_timestamp(at), who, reason, phone),
    )


def list_breaker_trips(reader: Reader, phone: str) -> list[BreakerTrip]:
    """Return every stop of a number's new chats, the latest first."""
    rows = reader.all("SELECT * FROM breaker_trips WHERE phone = ? ORDER BY id DESC", (phone,))
    return [_trip_from_row(row) for row in rows]


def get_breaker_trip(reader: Reader, id_: int) -> BreakerTrip | None:
    """Return one stop by its id, or None."""
    row = reader.one("SELECT * FROM breaker_trips WHERE id = ?", (id_,))
    return None if row is None else _trip_from_row(row)


def _trip_from_row(row: Row) -> BreakerTrip:
    return BreakerTrip(
        parse_timestamp(row["at"]),
        BreakerCause(row["cause"]),
        row["detail"],
        parse_timestamp(row["resumed_at"]) if row["resumed_at"] else None,
        row["resumed_by"],
        row["resumed_reason"],
    )
