"""The `private_contacts` table: keyed hashes of people whose messages are private, and not kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from storage.column_formats import format_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


def insert_private_contact(tx: Tx, hashes: Sequence[str], *, who: str, at: datetime) -> None:
    """Remember that nothing is kept of who has one of these keyed hashes of an alias."""
    tx.execute_many(
        "INSERT INTO private_contacts (alias_hash, who, at) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(each, who, format_timestamp(at)) for each in hashes],
    )


def is_private(reader: Reader, hashes: Sequence[str]) -> bool:
    """Return whether one of these keyed hashes of an alias is of somebody private."""
    found: int = reader.value(
        "SELECT EXISTS (SELECT 1 FROM private_contacts"
        f" WHERE alias_hash IN ({', '.join('?' * len(hashes))}))",
        tuple(hashes),
    )
    return bool(found)
