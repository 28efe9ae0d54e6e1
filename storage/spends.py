"""The `spends` table: the ledger from which a phone number's rolling budgets are counted."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import IN_FLIGHT_STATES
from storage.column_formats import format_timestamp, parse_timestamp
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


class SpendKind(StrEnum):
    """What is counted by a budget. A first contact by hand has a budget of its own."""

    MESSAGE = "message"
    NEW_CHAT = "new_chat"
    MANUAL_NEW_CHAT = "manual_new_chat"
    CHECK = "check"


LONGEST_WINDOW: Final = timedelta(days=30)
"""The longest stretch of time that a budget counts over; older rows can be deleted."""

FIRST_CONTACT_KINDS = frozenset({SpendKind.NEW_CHAT, SpendKind.MANUAL_NEW_CHAT})
_FIRST_CONTACT_KINDS = format_sql_list(FIRST_CONTACT_KINDS)
_IS_BY_HAND = (
    f"(kind = '{SpendKind.MANUAL_NEW_CHAT}'"
    f" OR (kind = '{SpendKind.NEW_CHAT}' AND own_hash IS NOT NULL))"
)
_IN_FLIGHT = format_sql_list(IN_FLIGHT_STATES)


def insert_spend(
    tx: Tx, phone: str, kind: SpendKind, *, session: str, message: str | None, at: datetime
) -> None:
    """Record one spend of a number (``phone``: E.164, or the session's name before pairing)."""
    tx.execute(
        "INSERT INTO spends (phone, kind, session, message, at) VALUES (?, ?, ?, ?, ?)",
        (phone, kind, session, message, format_timestamp(at)),
    )


def insert_own_message_spend(
    tx: Tx, phone: str, *, session: str, wire_id: str, new_chat: bool, at: datetime
) -> None:
    """Record a message that was typed on the phone itself; once, however often it is reported."""
    # Recognised by a hash alone: nothing else of a private chat is stored.
    own_hash = hashlib.sha256(f"{phone}\0{wire_id}".encode()).hexdigest()
    if tx.value("SELECT 1 FROM spends WHERE own_hash = ?", (own_hash,)):
        return
    kinds = [SpendKind.MESSAGE, *([SpendKind.NEW_CHAT] if new_chat else [])]
    tx.execute_many(
        "INSERT INTO spends (phone, kind, session, at, own_hash) VALUES (?, ?, ?, ?, ?)",
        [(phone, kind, session, format_timestamp(at), own_hash) for kind in kinds],
    )


def refund_first_contact(tx: Tx, phone: str, contact: str) -> None:
    """Delete the first-contact spend of a message in flight to this contact.

    Somebody wrote to the contact on the phone meanwhile, which is the first contact then.
    """
    tx.execute(
        f"DELETE FROM spends WHERE phone = ? AND kind IN {_FIRST_CONTACT_KINDS} AND message IN"
        f" (SELECT id FROM messages WHERE contact = ? AND state IN {_IN_FLIGHT})",
        (phone, contact),
    )


def refund_message_spends(tx: Tx, message: str) -> None:
    """Delete the spends of a message that certainly did not leave."""
    tx.execute("DELETE FROM spends WHERE message = ?", (message,))


def count_spends(reader: Reader, phone: str, kind: SpendKind, since: datetime) -> int:
    """Return how many spends there are after ``since``."""
    # Without an upper bound: a row from the future, after the clock was set back, still counts.
    n: int = reader.value(
        "SELECT count(*) FROM spends WHERE phone = ? AND kind = ? AND at > ?",
        (phone, kind, format_timestamp(since)),
    )
    return n


class NumberedSpend(Struct, frozen=True):
    """One spend of a number: its id, which grows with time, when it was made, and its kind.

    ``by_hand``: a person wrote, by a link or on the phone itself.
    """

    id: int
    at: datetime
    kind: SpendKind
    session: str
    by_hand: bool

    @property
    def is_first_contact(self) -> bool:
        """Whether it was a first contact."""
        return self.kind in FIRST_CONTACT_KINDS


def list_number_spends(reader: Reader, phone: str, since: datetime) -> list[NumberedSpend]:
    """Return the messages and first contacts of a number after ``since``, the oldest first."""
    rows = reader.all(
        f"SELECT id, at, kind, session, {_IS_BY_HAND} AS by_hand FROM spends"
        f" WHERE phone = ? AND kind <> '{SpendKind.CHECK}' AND at > ? ORDER BY id",
        (phone, format_timestamp(since)),
    )
    return [
        NumberedSpend(
            row["id"],
            parse_timestamp(row["at"]),
            SpendKind(row["kind"]),
            row["session"],
            bool(row["by_hand"]),
        )
        for row in rows
    ]


def get_newest_spend_id(reader: Reader, at: datetime) -> int:
    """Return the id of the newest spend at a moment, 0 where there was none."""
    n: int = reader.value(
        "SELECT coalesce(max(id), 0) FROM spends WHERE at <= ?", (format_timestamp(at),)
    )
    return n


def count_contacts_by_hand(reader: Reader, phone: str, since: datetime) -> int:
    """Return how many first contacts were made by hand at ``since`` or later."""
    n: int = reader.value(
        f"SELECT count(*) FROM spends WHERE phone = ? AND {_IS_BY_HAND} AND at >= ?",
        (phone, format_timestamp(since)),
    )
    return n


def count_typed_messages(reader: Reader, phone: str, since: datetime) -> int:
    """Return how many messages were typed on the phone itself after ``since``."""
    n: int = reader.value(
        f"SELECT count(*) FROM spends WHERE phone = ? AND kind = '{SpendKind.MESSAGE}'"
        " AND own_hash IS NOT NULL AND at > ?",
        (phone, format_timestamp(since)),
    )
    return n


def get_nth_newest_contact_by_hand(reader: Reader, phone: str, n: int) -> datetime | None:
    """Return the time of the ``n``-th newest first contact by hand (1 is the newest), or None.

    One that was typed on the phone itself was made by hand, too.
    """
    text = reader.value(
        f"SELECT at FROM spends WHERE phone = ? AND {_IS_BY_HAND} ORDER BY at DESC"
        " LIMIT 1 OFFSET ?",
        (phone, n - 1),
    )
    return parse_timestamp(text) if text else None


def get_nth_newest_spend(
    reader: Reader, column: str, key: str, kind: SpendKind, n: int
) -> datetime | None:
    """Return the time of the ``n``-th newest spend (1 is the newest), or None.

    ``column`` is ``phone`` or ``session``, and ``key`` the value that it has to have.
    """
    # Looked up, not inserted as it is: SQL text never has a caller's word in it.
    owner = {"phone": "phone", "session": "session"}[column]
    text = reader.value(
        f"SELECT at FROM spends WHERE {owner} = ? AND kind = ? ORDER BY at DESC LIMIT 1 OFFSET ?",
        (key, kind, n - 1),
    )
    return parse_timestamp(text) if text else None
