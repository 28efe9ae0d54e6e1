"""The `sign_ins` and `sign_in_links` tables: browsers that are signed in, and links that sign in.

What a cookie or a link says is never here, only its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.times import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class SignInRecord:
    """A browser that is signed in, and the present role of its user, who is not disabled."""

    id_hash: str
    user: str
    role: str
    last_used_at: datetime


def insert_sign_in(
    tx: Tx, id_hash: str, user: str, at: datetime, idle_until: datetime, ends_at: datetime
) -> None:
    """Sign a browser in; the rows of those that are over go on the way."""
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
    """Return the sign-in that this hash belongs to while it holds, else None."""
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
    """Remember a use, from which the time of not being used counts anew."""
    tx.execute(
        "UPDATE sign_ins SET last_used_at = ?, idle_until = ? WHERE id_hash = ?",
        (format_timestamp(at), format_timestamp(idle_until), id_hash),
    )


def delete_sign_in(tx: Tx, id_hash: str) -> bool:
    """Sign a browser out; return False where it was not signed in."""
    return bool(tx.execute("DELETE FROM sign_ins WHERE id_hash = ?", (id_hash,)).rowcount)


def delete_user_sign_ins(tx: Tx, user: str) -> int:
    """Sign a user out everywhere, and spoil their links; return how many browsers it was."""
    tx.execute("DELETE FROM sign_in_links WHERE user = ?", (user,))
    return tx.execute("DELETE FROM sign_ins WHERE user = ?", (user,)).rowcount


def insert_sign_in_link(
    tx: Tx, id_hash: str, user: str, made_by: str, at: datetime, expires_at: datetime
) -> None:
    """Keep a new link; those that have expired go on the way."""
    tx.execute("DELETE FROM sign_in_links WHERE expires_at <= ?", (format_timestamp(at),))
    tx.execute(
        "INSERT INTO sign_in_links (id_hash, user, made_by, made_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (id_hash, user, made_by, format_timestamp(at), format_timestamp(expires_at)),
    )


def redeem_sign_in_link(tx: Tx, id_hash: str, at: datetime) -> str | None:
    """Spend a link and return its user; None where it is unknown, spent, expired or disabled."""
    row = tx.execute(
        "UPDATE sign_in_links SET spent_at = :at WHERE id_hash = :link AND spent_at IS NULL"
        " AND expires_at > :at AND user IN (SELECT name FROM users WHERE disabled_at IS NULL)"
        " RETURNING user",
        {"at": format_timestamp(at), "link": id_hash},
    ).fetchone()
    return row["user"] if row else None
