"""The `users` table: who may come in, in what role. A user is disabled, never deleted."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime

from storage.times import format_timestamp, parse_timestamp
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


def get_user(reader: Reader, name: str) -> UserRecord | None:
    """Return a user, disabled or not, or None."""
    row = reader.one("SELECT * FROM users WHERE name = ?", (name,))
    return _user_from_row(row) if row else None


def list_users(reader: Reader) -> list[UserRecord]:
    """Return all users by name."""
    return [_user_from_row(row) for row in reader.all("SELECT * FROM users ORDER BY name")]


def count_active_users(reader: Reader, role: str) -> int:
    """Return how many users have this role and are not disabled."""
    count: int = reader.value(
        "SELECT count(*) FROM users WHERE role = ? AND disabled_at IS NULL", (role,)
    )
    return count


def insert_user(tx: Tx, name: str, role: str, password_hash: str | None, at: datetime) -> bool:
    """Add a user; return False where the name is taken, also by one who is disabled."""
    return bool(
        tx.execute(
            "INSERT OR IGNORE INTO users (name, role, password_hash, created_at)"
            " VALUES (?, ?, ?, ?)",
            (name, role, password_hash, format_timestamp(at)),
        ).rowcount
    )


def set_user_password(tx: Tx, name: str, password_hash: str) -> None:
    """Replace a user's password."""
    tx.execute("UPDATE users SET password_hash = ? WHERE name = ?", (password_hash, name))


def set_user_role(tx: Tx, name: str, role: str) -> None:
    """Give a user another role."""
    tx.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))


def set_user_disabled(tx: Tx, name: str, at: datetime | None) -> None:
    """Disable a user from `at` on, or let them in again (None)."""
    tx.execute(
        "UPDATE users SET disabled_at = ? WHERE name = ?", (at and format_timestamp(at), name)
    )


def record_last_sign_in(tx: Tx, name: str, at: datetime) -> None:
    """Remember when a user last came in."""
    tx.execute("UPDATE users SET signed_in_at = ? WHERE name = ?", (format_timestamp(at), name))


def _user_from_row(row: sqlite3.Row) -> UserRecord:
    return UserRecord(
        row["name"],
        row["role"],
        row["password_hash"],
        parse_timestamp(row["created_at"]),
        row["signed_in_at"] and parse_timestamp(row["signed_in_at"]),
        row["disabled_at"] and parse_timestamp(row["disabled_at"]),
    )
