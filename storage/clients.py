"""The tables `clients` and `share_questions`: who gets deliveries, and of which contacts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import MessageState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.connections import fold_text
from storage.evidence import EvidenceKind
from storage.ids import new_id
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx

_NEVER_LEFT: Final = format_sql_list(
    {MessageState.BLOCKED, MessageState.CANCELLED, MessageState.EXPIRED, MessageState.FAILED}
)
_ANSWERS: Final = format_sql_list({EvidenceKind.MAY_SHARE, EvidenceKind.MAY_NOT_SHARE})


class ClientRecord(Struct, frozen=True, kw_only=True):
    """A client: who gets deliveries. No two have one name, however it is written."""

    id: str
    name: str
    created_at: datetime
    created_by: str


class ClientShare(Struct, frozen=True, kw_only=True):
    """Whether a contact agreed that a client may write to them.

    ``asked_at`` is when the question was stored, and ``asked_state`` what became of it; ``allowed``
    is their latest answer as a person recorded it, None without one; ``quote`` is that answer.
    """

    client: str
    name: str
    asked_at: datetime | None
    asked_state: MessageState | None
    allowed: bool | None
    answered_at: datetime | None
    quote: str

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"ClientShare({self.client!r}, allowed={self.allowed})"


def insert_client(tx: Tx, name: str, *, at: datetime, who: str) -> ClientRecord | None:
    """Store a client and return it; None where there is one with this name."""
    record = ClientRecord(id=new_id("cli", at), name=name, created_at=at, created_by=who)
    done = tx.execute(
        "INSERT INTO clients (id, name, folded_name, created_at, created_by)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (folded_name) DO NOTHING",
        (record.id, name, fold_text(name), format_timestamp(at), who),
    )
    return record if done.rowcount else None


def get_client(reader: Reader, id_: str) -> ClientRecord | None:
    """Return a client by its id, or None."""
    row = reader.one("SELECT * FROM clients WHERE id = ?", (id_,))
    return None if row is None else _client_from_row(row)


def list_clients(reader: Reader, *, after: str = "", limit: int = 200) -> list[ClientRecord]:
    """Return clients past the id ``after``, in the order in which they were added."""
    rows = reader.all("SELECT * FROM clients WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [_client_from_row(row) for row in rows]


def insert_share_question(
    tx: Tx, *, message_key: str, contact: str, client: str, at: datetime, who: str
) -> None:
    """Note that the message with this idempotency key asks whether a client may write to them."""
    tx.execute(
        "INSERT INTO share_questions (message_key, contact, client, at, who)"
        " VALUES (?, ?, ?, ?, ?)",
        (message_key, contact, client, format_timestamp(at), who),
    )


def is_share_question_open(reader: Reader, contact: str, client: str) -> bool:
    """Return whether they were asked about a client, in a message that left or still may."""
    found = reader.value(
        "SELECT 1 FROM share_questions AS q JOIN messages AS m ON m.idempotency_key = q.message_key"
        f" WHERE q.contact = ? AND q.client = ? AND m.state NOT IN {_NEVER_LEFT}",
        (contact, client),
    )
    return found is not None


def list_client_shares(reader: Reader, contact: str) -> list[ClientShare]:
    """Return, for each client, whether it may write to a contact, by the client's name."""
    rows = reader.all(
        "SELECT c.id, c.name, asked.at AS asked_at, asked.state AS asked_state,"
        " answer.kind, answer.at AS answered_at, answer.quote FROM clients AS c"
        " LEFT JOIN (SELECT q.client, max(q.at) AS at, m.state FROM share_questions AS q"
        "  JOIN messages AS m ON m.idempotency_key = q.message_key WHERE q.contact = :contact"
        "  GROUP BY q.client) AS asked ON asked.client = c.id"
        " LEFT JOIN evidence AS answer ON answer.id = (SELECT e.id FROM evidence AS e"
        f"  WHERE e.contact = :contact AND e.kind IN {_ANSWERS} AND e.value = c.id"
        "  AND NOT EXISTS (SELECT 1 FROM evidence AS w WHERE w.contact = e.contact"
        f"   AND w.kind = '{EvidenceKind.WITHDRAWN}' AND w.value = CAST(e.id AS TEXT))"
        "  ORDER BY e.at DESC, e.id DESC LIMIT 1)"
        " ORDER BY c.folded_name",
        {"contact": contact},
    )
    return [_share_from_row(row) for row in rows]


def _client_from_row(row: sqlite3.Row) -> ClientRecord:
    return ClientRecord(
        id=row["id"],
        name=row["name"],
        created_at=parse_timestamp(row["created_at"]),
        created_by=row["created_by"],
    )


def _share_from_row(row: sqlite3.Row) -> ClientShare:
    kind = row["kind"]
    return ClientShare(
        client=row["id"],
        name=row["name"],
        asked_at=parse_timestamp(row["asked_at"]) if row["asked_at"] else None,
        asked_state=MessageState(row["asked_state"]) if row["asked_state"] else None,
        allowed=None if kind is None else kind == EvidenceKind.MAY_SHARE,
        answered_at=parse_timestamp(row["answered_at"]) if row["answered_at"] else None,
        quote=row["quote"] or "",
    )
