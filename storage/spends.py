"""The `spends` table: what a phone number has used of its budgets, counted over rolling time."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from statemachines.message import IN_FLIGHT_STATES
from storage.column_formats import format_timestamp, parse_timestamp
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


class SpendKind(StrEnum):
    """What can be spent. A first contact by hand has a budget of its own."""

    MESSAGE = "message"
    NEW_CHAT = "new_chat"
    MANUAL_NEW_CHAT = "manual_new_chat"
    CHECK = "check"


LONGEST_WINDOW: Final = timedelta(days=30)
"""No budget looks back further."""

FIRST_CONTACT_KINDS = frozenset({SpendKind.NEW_CHAT, SpendKind.MANUAL_NEW_CHAT})
_FIRST_CONTACT_KINDS = format_sql_list(FIRST_CONTACT_KINDS)
_IN_FLIGHT = format_sql_list(IN_FLIGHT_STATES)


def insert_spend(
    tx: Tx, phone: str, kind: SpendKind, *, session: str, message: str | None, at: datetime
) -> None:
    """Book one spend of a number (``phone``: E.164, or the session's name before pairing)."""
    tx.execute(
        "INSERT INTO spends (phone, kind, session, message, at) VALUES (?, ?, ?, ?, ?)",
        (phone, kind, session, message, format_timestamp(at)),
    )


def insert_own_message_spend(
    tx: Tx, phone: str, *, session: str, wire_id: str, new_chat: bool, at: datetime
) -> None:
    """Book a message that was typed on the phone itself, once however often it is told.

    It is known again by a hash: of a private chat nothing else is kept.
    """
    own_hash = hashlib.sha256(f"{session}\0{wire_id}".encode()).hexdigest()
    if tx.value("SELECT 1 FROM spends WHERE own_hash = ?", (own_hash,)):
        return
    kinds = [SpendKind.MESSAGE, *([SpendKind.NEW_CHAT] if new_chat else [])]
    tx.execute_many(
        "INSERT INTO spends (phone, kind, session, at, own_hash) VALUES (?, ?, ?, ?, ?)",
        [(phone, kind, session, format_timestamp(at), own_hash) for kind in kinds],
    )


def refund_first_contact(tx: Tx, phone: str, contact: str) -> None:
    """Give back the first contact of a message on its way to somebody written to meanwhile."""
    tx.execute(
        f"DELETE FROM spends WHERE phone = ? AND kind IN {_FIRST_CONTACT_KINDS} AND message IN"
        f" (SELECT id FROM messages WHERE contact = ? AND state IN {_IN_FLIGHT})",
        (phone, contact),
    )


def refund_message_spends(tx: Tx, message: str) -> None:
    """Give back what was booked for a message that certainly did not leave."""
    tx.execute("DELETE FROM spends WHERE message = ?", (message,))


def count_spends(reader: Reader, phone: str, kind: SpendKind, since: datetime) -> int:
    """Return how many were spent after ``since``; dates in the future count too."""
    n: int = reader.value(
        "SELECT count(*) FROM spends WHERE phone = ? AND kind = ? AND at > ?",
        (phone, kind, format_timestamp(since)),
    )
    return n


def get_nth_newest_spend(
    reader: Reader, column: str, key: str, kind: SpendKind, n: int
) -> datetime | None:
    """Return when the ``n``-th newest spend was (1 is the newest), or None."""
    owner = {"phone": "phone", "session": "session"}[column]
    text = reader.value(
        f"SELECT at FROM spends WHERE {owner} = ? AND kind = ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        (key, kind, n - 1),
    )
    return parse_timestamp(text) if text else None
