"""The `bans` table: bans that the platform announced, and those that a person reported."""

from __future__ import annotations

from datetime import datetime, timedelta
from sqlite3 import Row
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.tx import Reader, Tx

OTHER_NUMBERS_STOPPED: Final = timedelta(hours=72)
"""How long after a ban every other number of the installation begins no new chats."""
REPORTED_BAN: Final = "reported_at_linking"
"""The reason code of a ban that a person reported when a phone was linked."""


class BanRecord(Struct, frozen=True):
    """A ban; ``phone`` is None where a person reported it, of a number that is unknown here.

    ``until`` is its end as the platform names it, ``session`` the one that was banned, or of which
    a person reported it.
    """

    id: str
    phone: str | None
    session: str
    at: datetime
    reason_code: str
    until: datetime | None
    acknowledged_at: datetime | None


def insert_ban(
    tx: Tx,
    *,
    phone: str | None,
    session: str,
    at: datetime,
    reason_code: str,
    until: datetime | None = None,
) -> BanRecord:
    """Store a ban, and return it."""
    ban = BanRecord(new_id("ban", at), phone, session, at, reason_code, until, None)
    tx.execute(
        "INSERT INTO bans (id, phone, session, at, reason_code, until) VALUES (?, ?, ?, ?, ?, ?)",
        (ban.id, phone, session, format_timestamp(at), reason_code, _format_optional(until)),
    )
    return ban


def set_ban_end(tx: Tx, session: str, until: datetime | None) -> None:
    """Store another end of a session's ban that is not acknowledged."""
    tx.execute(
        "UPDATE bans SET until = ? WHERE session = ? AND phone IS NOT NULL"
        " AND acknowledged_at IS NULL",
        (_format_optional(until), session),
    )


def acknowledge_bans(tx: Tx, phone: str, at: datetime) -> None:
    """Store that a person has acknowledged every ban of a number."""
    tx.execute(
        "UPDATE bans SET acknowledged_at = ? WHERE phone = ? AND acknowledged_at IS NULL",
        (format_timestamp(at), phone),
    )


def find_ban(reader: Reader, ban: str) -> BanRecord | None:
    """Return a ban by its id, or None."""
    row = reader.one("SELECT * FROM bans WHERE id = ?", (ban,))
    return _ban_from_row(row) if row else None


def find_latest_ban(reader: Reader, phone: str) -> BanRecord | None:
    """Return the latest ban of a number, or None."""
    row = reader.one("SELECT * FROM bans WHERE phone = ? ORDER BY at DESC, id DESC", (phone,))
    return _ban_from_row(row) if row else None


def list_bans(reader: Reader) -> list[BanRecord]:
    """Return every ban, seen or reported, the latest first."""
    return [_ban_from_row(row) for row in reader.all("SELECT * FROM bans ORDER BY at DESC, id")]


def _ban_from_row(row: Row) -> BanRecord:
    return BanRecord(
        row["id"],
        row["phone"],
        row["session"],
        parse_timestamp(row["at"]),
        row["reason_code"],
        parse_timestamp(row["until"]) if row["until"] else None,
        parse_timestamp(row["acknowledged_at"]) if row["acknowledged_at"] else None,
    )


def _format_optional(moment: datetime | None) -> str | None:
    return None if moment is None else format_timestamp(moment)
