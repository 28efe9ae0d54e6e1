"""The `signing_keys` table: public keys, the one that signs and those that still verify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.times import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class SigningKeyRecord:
    """A key's public half. `retired_at` is None for the one that signs."""

    kid: str
    public_key: bytes
    retired_at: datetime | None


def list_signing_keys(reader: Reader) -> list[SigningKeyRecord]:
    """Return all keys that are still known, oldest first."""
    rows = reader.all("SELECT * FROM signing_keys ORDER BY since")
    return [
        SigningKeyRecord(
            row["kid"], row["public_key"], row["retired_at"] and parse_timestamp(row["retired_at"])
        )
        for row in rows
    ]


def activate_signing_key(tx: Tx, kid: str, public_key: bytes, at: datetime) -> bool:
    """Let this key be the one that signs and retire the one before; False where it was already."""
    if tx.value("SELECT kid FROM signing_keys WHERE retired_at IS NULL") == kid:
        return False
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
    """Remove the keys that were retired up to a moment; return how many."""
    return tx.execute(
        "DELETE FROM signing_keys WHERE retired_at <= ?", (format_timestamp(retired_by),)
    ).rowcount
