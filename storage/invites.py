"""The `invites` table: codes in links by which people write to us first, and where they hang."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Row

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class InviteRecord(Struct, frozen=True):
    """An invitation: its code, where it hangs, our number, and the text that is filled in."""

    code: str
    name: str
    phone: str
    words: str
    created_at: datetime
    created_by: str


def insert_invite(tx: Tx, invite: InviteRecord) -> bool:
    """Store an invitation; return False where its code is taken."""
    return bool(
        tx.execute(
            "INSERT OR IGNORE INTO invites (code, name, phone, words, created_at, created_by)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                invite.code,
                invite.name,
                invite.phone,
                invite.words,
                format_timestamp(invite.created_at),
                invite.created_by,
            ),
        ).rowcount
    )


def find_invite(reader: Reader, code: str) -> InviteRecord | None:
    """Return an invitation by its code, or None."""
    row = reader.one("SELECT * FROM invites WHERE code = ?", (code,))
    return _invite_from_row(row) if row else None


def list_invites(reader: Reader, *, after: str, limit: int) -> list[InviteRecord]:
    """Return at most `limit` invitations after the code named, by their codes."""
    rows = reader.all("SELECT * FROM invites WHERE code > ? ORDER BY code LIMIT ?", (after, limit))
    return [_invite_from_row(row) for row in rows]


def _invite_from_row(row: Row) -> InviteRecord:
    return InviteRecord(
        row["code"],
        row["name"],
        row["phone"],
        row["words"],
        parse_timestamp(row["created_at"]),
        row["created_by"],
    )
