"""The `users`, `sign_ins` and `sign_in_links` tables: accounts, signed-in browsers, sign-in links.

A user is disabled, never deleted. Cookies and links are stored as hashes only.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class UserRecord(Struct, frozen=True):
    """One person's account. `password_hash` is None where the user signs in by link only."""

    name: str
    role: str
    password_hash: str | None
    created_at: datetime
    signed_in_at: datetime | None
    disabled_at: datetime | None
    phone: str | None = None
    language: str | None = None
    seen_at: datetime | None = None
    seen_from: str = ""

    def __repr__(self) -> str:
        """Keep the hash and the number out of logs."""
        return f"UserRecord({self.name}, {self.role})"


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
    """Disable a user from `at` on, or enable them again (None)."""
    tx.execute(
        "UPDATE users SET disabled_at = ? WHERE name = ?", (at and format_timestamp(at), name)
    )


def set_user_phone(tx: Tx, name: str, phone: str | None) -> None:
    """Store a user's own number (E.164), or that they have none here."""
    tx.execute("UPDATE users SET phone = ? WHERE name = ?", (phone, name))


def set_user_language(tx: Tx, name: str, language: str | None) -> None:
    """Store the language of a user's pages; None: as their browser asks."""
    tx.execute("UPDATE users SET language = ? WHERE name = ?", (language, name))


def record_last_sign_in(tx: Tx, name: str, at: datetime) -> None:
    """Store when a user last signed in."""
    tx.execute("UPDATE users SET signed_in_at = ? WHERE name = ?", (format_timestamp(at), name))


def record_user_seen(tx: Tx, name: str, at: datetime, address: str) -> None:
    """Store when a user's browser last asked for something, and from where, if that is known."""
    tx.execute(
        "UPDATE users SET seen_at = :at,"
        " seen_from = CASE WHEN :address = '' THEN seen_from ELSE :address END WHERE name = :name",
        {"at": format_timestamp(at), "address": address, "name": name},
    )


def _user_from_row(row: sqlite3.Row) -> UserRecord:
    return UserRecord(
        row["name"],
        row["role"],
        row["password_hash"],
        parse_timestamp(row["created_at"]),
        row["signed_in_at"] and parse_timestamp(row["signed_in_at"]),
        row["disabled_at"] and parse_timestamp(row["disabled_at"]),
        row["phone"],
        row["language"],
        row["seen_at"] and parse_timestamp(row["seen_at"]),
        row["seen_from"],
    )


class SignInRecord(Struct, frozen=True):
    """A browser that is signed in, and the present role of its user, who is not disabled."""

    id_hash: str
    user: str
    role: str
    last_used_at: datetime


def insert_sign_in(
    tx: Tx, id_hash: str, user: str, at: datetime, idle_until: datetime, ends_at: datetime
) -> None:
    """Sign a browser in."""
    # Expired rows are deleted here, so that no periodic job is needed.
    tx.execute("DELETE FROM sign_ins WHERE min(idle_until, ends_at) <= ?", (format_timestamp(at),))
    tx.execute(
        "INSERT INTO sign_ins (id_hash, user, began_at, last_used_at, idle_until, ends_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            id_hash,
            user,
            format_timestamp(at),
            format_timestamp(at),
            format_timestamp(idle_until),
            format_timestamp(ends_at),
        ),
    )


def get_current_sign_in(reader: Reader, id_hash: str, at: datetime) -> SignInRecord | None:
    """Return the sign-in with this hash; None if it has expired or its user is disabled."""
    row = reader.one(
        "SELECT s.*, u.role FROM sign_ins AS s JOIN users AS u ON u.name = s.user"
        " WHERE s.id_hash = ? AND min(s.idle_until, s.ends_at) > ? AND u.disabled_at IS NULL",
        (id_hash, format_timestamp(at)),
    )
    if row is None:
        return None
    return SignInRecord(
        row["id_hash"], row["user"], row["role"], parse_timestamp(row["last_used_at"])
    )


def record_sign_in_use(tx: Tx, id_hash: str, at: datetime, idle_until: datetime) -> None:
    """Store a use of a sign-in, and the new end of its idle time."""
    tx.execute(
        "UPDATE sign_ins SET last_used_at = ?, idle_until = ? WHERE id_hash = ?",
        (format_timestamp(at), format_timestamp(idle_until), id_hash),
    )


def delete_sign_in(tx: Tx, id_hash: str) -> bool:
    """Sign a browser out; return False where it was not signed in."""
    return bool(tx.execute("DELETE FROM sign_ins WHERE id_hash = ?", (id_hash,)).rowcount)


def delete_user_sign_ins(tx: Tx, user: str) -> int:
    """Sign a user out everywhere; return how many browsers it was."""
    # Their links too: an unused one would sign in again.
    tx.execute("DELETE FROM sign_in_links WHERE user = ?", (user,))
    return tx.execute("DELETE FROM sign_ins WHERE user = ?", (user,)).rowcount


def insert_sign_in_link(
    tx: Tx, id_hash: str, user: str, made_by: str, at: datetime, expires_at: datetime
) -> None:
    """Store a new link."""
    # Expired rows are deleted here, so that no periodic job is needed.
    tx.execute("DELETE FROM sign_in_links WHERE expires_at <= ?", (format_timestamp(at),))
    tx.execute(
        "INSERT INTO sign_in_links (id_hash, user, made_by, made_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (id_hash, user, made_by, format_timestamp(at), format_timestamp(expires_at)),
    )


def redeem_sign_in_link(tx: Tx, id_hash: str, at: datetime) -> str | None:
    """Redeem a link and return its user; None if it is unknown, spent, expired or disabled."""
    # One statement checks and spends it, so that two requests can't both be let in.
    row = tx.execute(
        "UPDATE sign_in_links SET spent_at = :at WHERE id_hash = :link AND spent_at IS NULL"
        " AND expires_at > :at AND user IN (SELECT name FROM users WHERE disabled_at IS NULL)"
        " RETURNING user",
        {"at": format_timestamp(at), "link": id_hash},
    ).fetchone()
    return row["user"] if row else None
