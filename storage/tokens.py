"""The `tokens` and `signing_keys` tables: access tokens, and the public keys that verify them."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class TokenRecord(Struct, frozen=True):
    """The stored data of a token. The token itself is not stored.

    ``uses`` counts the requests of the day ``uses_on``, the last one of its use.
    """

    id: str
    user: str
    name: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_from: str = ""
    uses: int = 0
    uses_on: date | None = None


class ActiveToken(Struct, frozen=True):
    """A token that is not revoked, and the present role of its user, who is not disabled."""

    token: TokenRecord
    role: str


def insert_token(tx: Tx, token: TokenRecord) -> None:
    """Store a new token's data."""
    tx.execute(
        "INSERT INTO tokens (id, user, name, scopes, made_by, made_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            token.id,
            token.user,
            token.name,
            " ".join(token.scopes),
            token.made_by,
            format_timestamp(token.made_at),
            format_timestamp(token.expires_at),
        ),
    )


def get_token(reader: Reader, token: str) -> TokenRecord | None:
    """Return a token by its id, revoked or not, or None."""
    row = reader.one("SELECT * FROM tokens WHERE id = ?", (token,))
    return _token_from_row(row) if row else None


def list_tokens(reader: Reader, *, after: str, limit: int) -> list[TokenRecord]:
    """Return at most `limit` tokens made after the one named, oldest first."""
    rows = reader.all("SELECT * FROM tokens WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [_token_from_row(row) for row in rows]


def get_active_token(reader: Reader, token: str, user: str) -> ActiveToken | None:
    """Return this user's token unless it is revoked or the user disabled; else None."""
    # The expiry is not checked here: it is in the signed token, which the caller verifies.
    row = reader.one(
        "SELECT t.*, u.role FROM tokens AS t JOIN users AS u ON u.name = t.user"
        " WHERE t.id = ? AND t.user = ? AND t.revoked_at IS NULL AND u.disabled_at IS NULL",
        (token, user),
    )
    return ActiveToken(_token_from_row(row), row["role"]) if row else None


def record_token_uses(
    tx: Tx, token: str, at: datetime, *, address: str, uses: int, day: date
) -> None:
    """Store when a token was last used, from where if that is known, and how often that day."""
    tx.execute(
        "UPDATE tokens SET last_used_at = :at,"
        " last_used_from = CASE WHEN :address = '' THEN last_used_from ELSE :address END,"
        " uses = CASE WHEN uses_on = :day THEN uses ELSE 0 END + :uses, uses_on = :day"
        " WHERE id = :token",
        {
            "at": format_timestamp(at),
            "address": address,
            "uses": uses,
            "day": day.isoformat(),
            "token": token,
        },
    )


def revoke_token(tx: Tx, token: str, at: datetime) -> bool:
    """Revoke a token; return False where it was revoked before."""
    return bool(
        tx.execute(
            "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            (format_timestamp(at), token),
        ).rowcount
    )


def revoke_user_tokens(tx: Tx, user: str, at: datetime) -> int:
    """Revoke all of a user's tokens; return how many were not revoked before."""
    return tx.execute(
        "UPDATE tokens SET revoked_at = ? WHERE user = ? AND revoked_at IS NULL",
        (format_timestamp(at), user),
    ).rowcount


def delete_expired_tokens(tx: Tx, before: datetime) -> int:
    """Delete the tokens that expired before a moment; return how many."""
    return tx.execute(
        "DELETE FROM tokens WHERE expires_at < ?", (format_timestamp(before),)
    ).rowcount


def _token_from_row(row: sqlite3.Row) -> TokenRecord:
    return TokenRecord(
        row["id"],
        row["user"],
        row["name"],
        tuple(row["scopes"].split()),
        row["made_by"],
        parse_timestamp(row["made_at"]),
        parse_timestamp(row["expires_at"]),
        row["last_used_at"] and parse_timestamp(row["last_used_at"]),
        row["revoked_at"] and parse_timestamp(row["revoked_at"]),
        row["last_used_from"],
        row["uses"],
        row["uses_on"] and date.fromisoformat(row["uses_on"]),
    )


class SigningKeyRecord(Struct, frozen=True):
    """A key's public half. `retired_at` is None for the one that signs."""

    kid: str
    public_key: bytes
    retired_at: datetime | None


def list_signing_keys(reader: Reader) -> list[SigningKeyRecord]:
    """Return all stored keys, oldest first."""
    rows = reader.all("SELECT * FROM signing_keys ORDER BY since")
    return [
        SigningKeyRecord(
            row["kid"], row["public_key"], row["retired_at"] and parse_timestamp(row["retired_at"])
        )
        for row in rows
    ]


def activate_signing_key(tx: Tx, kid: str, public_key: bytes, at: datetime) -> bool:
    """Make this key the signing one, and retire the one before; False where it was already."""
    if tx.value("SELECT kid FROM signing_keys WHERE retired_at IS NULL") == kid:
        return False
    # Retired, not deleted: it still verifies the tokens that it signed. First, since a unique index
    # allows only one key that is not retired.
    tx.execute(
        "UPDATE signing_keys SET retired_at = ? WHERE retired_at IS NULL", (format_timestamp(at),)
    )
    tx.execute(
        "INSERT INTO signing_keys (kid, public_key, since) VALUES (?, ?, ?)"
        " ON CONFLICT (kid) DO UPDATE SET since = excluded.since, retired_at = NULL",
        (kid, public_key, format_timestamp(at)),
    )
    return True


def delete_retired_signing_keys(tx: Tx, retired_by: datetime) -> int:
    """Delete the keys that were retired up to a moment; return how many."""
    return tx.execute(
        "DELETE FROM signing_keys WHERE retired_at <= ?", (format_timestamp(retired_by),)
    ).rowcount
