"""The `signing_keys` table: public keys, the one that signs and those that still verify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.times import parse, stamp
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key's public half. `retired_at` is None for the one that signs."""

    kid: str
    public_key: bytes
    retired_at: datetime | None


def every(reader: Reader) -> list[SigningKey]:
    """Return all keys that are still known, oldest first."""
    rows = reader.all("SELECT * FROM signing_keys ORDER BY since")
    return [
        SigningKey(row["kid"], row["public_key"], row["retired_at"] and parse(row["retired_at"]))
        for row in rows
    ]


def take_over(tx: Tx, kid: str, public_key: bytes, at: datetime) -> bool:
    """Let this key be the one that signs and retire the one before; False where it was already."""
    if tx.value("SELECT kid FROM signing_keys WHERE retired_at IS NULL") == kid:
        return False
    tx.execute("UPDATE signing_keys SET retired_at = ? WHERE retired_at IS NULL", (stamp(at),))
    tx.execute(
        "INSERT INTO signing_keys (kid, public_key, since) VALUES (?, ?, ?)"
        " ON CONFLICT (kid) DO UPDATE SET since = excluded.since, retired_at = NULL",
        (kid, public_key, stamp(at)),
    )
    return True


def forget_retired(tx: Tx, retired_by: datetime) -> int:
    """Remove the keys that were retired up to a moment; return how many."""
    return tx.execute(
        "DELETE FROM signing_keys WHERE retired_at <= ?", (stamp(retired_by),)
    ).rowcount
