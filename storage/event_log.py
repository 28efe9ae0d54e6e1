"""Reads the append-only `events` table by sequence number, and trims its oldest rows."""

from __future__ import annotations

import json
from datetime import datetime

from storage.column_formats import format_timestamp, parse_timestamp
from storage.events import CommittedEvent
from storage.tx import Reader, Tx


def list_events_after(reader: Reader, seq: int, limit: int) -> list[CommittedEvent]:
    """Return at most `limit` events that follow `seq`, oldest first."""
    rows = reader.all("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
    return [
        CommittedEvent(
            row["seq"],
            row["type"],
            parse_timestamp(row["at"]),
            row["subject"],
            json.loads(row["data"]),
        )
        for row in rows
    ]


def get_high_water(reader: Reader) -> int:
    """Return the highest sequence number ever given, 0 before the first."""
    # Not max(seq): trimming may have removed the newest row, AUTOINCREMENT's table remembers it.
    return reader.value("SELECT seq FROM sqlite_sequence WHERE name = 'events'") or 0


def trim_events(tx: Tx, before: datetime, limit: int) -> int:
    """Delete at most `limit` of the oldest events, up to the first that is not before `before`.

    Returns how many were deleted.
    """
    # By sequence number, so that what remains has no gaps, also where the clock once jumped.
    first_kept = tx.value(
        "SELECT seq FROM events WHERE at >= ? ORDER BY seq LIMIT 1", (format_timestamp(before),)
    )
    return tx.execute(
        "DELETE FROM events WHERE seq IN"
        " (SELECT seq FROM events WHERE :kept IS NULL OR seq < :kept ORDER BY seq LIMIT :limit)",
        {"kept": first_kept, "limit": limit},
    ).rowcount
