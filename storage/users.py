"""The `users` table: who may come in, in what role. A user is disabled, never deleted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime

from storage.times import parse, stamp
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class UserRecord:
    """One person's account. `password_hash` is None for who comes in by link only."""

    name: str
    role: str
    password_hash: str | None = field(repr=False)
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None


def get(reader: Reader, name: str) -> UserRecord | None:
    """Return a user, disabled or not, or None."""
    row = reader.one("SELECT * FROM users WHERE name = ?", (name,))
    return _record(row) if row else None


def every(reader: Reader) -> list[UserRecord]:
    """Return all users by name."""
    return [_record(row) for row in reader.all("SELECT * FROM users ORDER BY name")]


def count_active(reader: Reader, role: str) -> int:
    """Return how many users have this role and are not disabled."""
    count: int = reader.value(
        "SELECT count(*) FROM users WHERE role = ? AND disabled_at IS NULL", (role,)
    )
    return count


def insert(tx: Tx, name: str, role: str, password_hash: str | None, at: datetime) -> bool:
    """Add a user; return False where the name is taken, also by one who is disabled."""
    return bool(
        tx.execute(
            "INSERT OR IGNORE INTO users (name, role, password_hash, created_at)"
            " VALUES (?, ?, ?, ?)",
            (name, role, password_hash, stamp(at)),
        ).rowcount
    )


def set_password(tx: Tx, name: str, password_hash: str) -> None:
    """Replace a user's password."""
    tx.execute("UPDATE users SET password_hash = ? WHERE name = ?", (password_hash, name))


def set_role(tx: Tx, name: str, role: str) -> None:
    """Give a user another role."""
    tx.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))


def set_disabled(tx: Tx, name: str, at: datetime | None) -> None:
    """Disable a user from `at` on, or let them in again (None)."""
    tx.execute("UPDATE users SET disabled_at = ? WHERE name = ?", (at and stamp(at), name))


def note_sign_in(tx: Tx, name: str, at: datetime) -> None:
    """Remember when a user last came in."""
    tx.execute("UPDATE users SET signed_in_at = ? WHERE name = ?", (stamp(at), name))


def _record(row: sqlite3.Row) -> UserRecord:
    return UserRecord(
        row["name"],
        row["role"],
        row["password_hash"],
        parse(row["created_at"]),
        row["signed_in_at"] and parse(row["signed_in_at"]),
        row["disabled_at"] and parse(row["disabled_at"]),
    )
