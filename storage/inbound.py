"""The `inbound` table: what contacts wrote to us, and what was typed on the phone itself."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from msgspec import Struct

from statemachines.message import LEFT_STATES, MessageState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.sessions import IS_OF_NUMBER
from storage.sql_text import format_sql_list
from storage.tx import Reader, Tx

# Fewer than MAYBE_LEFT_STATES: a link that was only shown, or a message that is just leaving, does
# not make what the owner types on the phone the second message of a chat.
_LEFT_OR_IN_DOUBT = format_sql_list(LEFT_STATES | {MessageState.IN_DOUBT})


class InboundRecord(Struct, frozen=True, kw_only=True):
    """A message of a conversation that we did not send. ``own``: the account's owner typed it.

    ``at`` is when it was written, never later than ``received_at``. ``request`` is what its text
    asks for; an own message is stored without text and asks nothing. ``past``: reported as history,
    so that nobody waits for an answer. ``session`` is empty for what a former system sent and was
    answered, whose ``origin`` is `imported`. ``conversation``: False for a reaction, an edit or a
    message of a program, which are no answer of the contact.
    """

    id: str
    session: str
    wire_id: str
    contact: str
    at: datetime
    received_at: datetime
    text: str
    request: str
    own: bool = False
    kind: str = "text"
    origin: str = "live"
    past: bool = False
    conversation: bool = True

    def __repr__(self) -> str:
        """Keep the body out of logs."""
        return f"InboundRecord({self.id!r}, {self.request})"


_FIELDS = InboundRecord.__struct_fields__


def insert_inbound(tx: Tx, record: InboundRecord) -> None:
    """Store a record. Raises IntegrityError for a known session, contact and wire id."""
    marks = ", ".join(f":{name}" for name in _FIELDS)
    tx.execute(
        f"INSERT INTO inbound ({', '.join(_FIELDS)}) VALUES ({marks})",
        {name: _value_to_column(getattr(record, name)) for name in _FIELDS}
        | {"session": record.session or None},
    )


def _value_to_column(value: object) -> object:
    return format_timestamp(value) if isinstance(value, datetime) else value


def has_inbound(reader: Reader, session: str, contact: str, wire_id: str) -> bool:
    """Return whether this message was stored before; transports report some more than once."""
    # With the contact: wire ids are made by the senders' phones, and two senders may use the same.
    found = reader.value(
        "SELECT 1 FROM inbound WHERE session = ? AND contact = ? AND wire_id = ?",
        (session, contact, wire_id),
    )
    return found is not None


def is_own_message_stored(reader: Reader, session: str, contact: str, wire_id: str) -> bool:
    """Return whether any session of the number reported this own message before."""
    found = reader.value(
        "SELECT 1 FROM inbound WHERE own AND contact = :contact AND wire_id = :wire_id"
        f" AND {IS_OF_NUMBER}",
        {"session": session, "contact": contact, "wire_id": wire_id},
    )
    return found is not None


def get_inbound(reader: Reader, id_: str) -> InboundRecord | None:
    """Return one message by its id, or None; an own message is none of theirs."""
    row = reader.one("SELECT * FROM inbound WHERE id = ? AND own = 0", (id_,))
    return None if row is None else _inbound_from_row(row)


def list_contact_inbound(reader: Reader, contact: str, *, limit: int = 20) -> list[InboundRecord]:
    """Return the latest inbound and own messages of a contact, newest first."""
    rows = reader.all(
        "SELECT * FROM inbound WHERE contact = ? ORDER BY at DESC, id DESC LIMIT ?",
        (contact, limit),
    )
    return [_inbound_from_row(row) for row in rows]


def list_inbound(
    reader: Reader,
    *,
    contact: str = "",
    session: str = "",
    request: str = "",
    after: str = "",
    limit: int = 50,
) -> list[InboundRecord]:
    """Return inbound messages, newest first, past the id ``after``; own ones are left out."""
    rows = reader.all(
        "SELECT * FROM inbound WHERE own = 0 AND (:contact = '' OR contact = :contact)"
        " AND (:session = '' OR session = :session) AND (:request = '' OR request = :request)"
        " AND (:after = '' OR id < :after) ORDER BY id DESC LIMIT :limit",
        {
            "contact": contact,
            "session": session,
            "request": request,
            "after": after,
            "limit": limit,
        },
    )
    return [_inbound_from_row(row) for row in rows]


def is_new_chat(reader: Reader, contact: str) -> bool:
    """Return whether there was no message between us and the contact, in either direction."""
    found = reader.value(
        "SELECT 1 FROM inbound WHERE contact = ?"
        " UNION ALL SELECT 1 FROM messages WHERE contact = ?"
        f" AND state IN {_LEFT_OR_IN_DOUBT} LIMIT 1",
        (contact, contact),
    )
    return found is None


def _inbound_from_row(row: sqlite3.Row) -> InboundRecord:
    return InboundRecord(
        id=row["id"],
        session=row["session"] or "",
        wire_id=row["wire_id"],
        contact=row["contact"],
        at=parse_timestamp(row["at"]),
        received_at=parse_timestamp(row["received_at"]),
        text=row["text"],
        request=row["request"],
        own=bool(row["own"]),
        kind=row["kind"],
        origin=row["origin"],
        past=bool(row["past"]),
        conversation=bool(row["conversation"]),
    )
