"""The `receipts` table: stores delivery receipts, and applies them to messages.

A receipt moves a message forward only. One for an unknown wire id is stored until that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from statemachines.message import MessageState, TransitionActor, is_legal_transition
from storage import messages
from storage.column_formats import format_timestamp, parse_timestamp
from storage.messages import MessageRecord
from storage.sessions import IS_OF_NUMBER
from storage.tx import Reader, Tx

# In the order in which a message passes the states: `apply_early_receipts` sorts by it.
_STATE_BY_RECEIPT_KIND: Final = {
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "failed": MessageState.FAILED,
}

_SENTENCES: Final = {
    MessageState.DELIVERED: "It reached their phone.",
    MessageState.READ: "They read it.",
    MessageState.FAILED: "WhatsApp says that it could not be delivered.",
}
_RECEIPT_ACTOR: Final = TransitionActor.RECEIPT
# Receipts carry the platform's time, in whole seconds, and its clock is not ours.
_CLOCK_TOLERANCE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRecord:
    """A receipt: ``kind`` is delivered, read or failed; ``contact`` is None where unknown."""

    session: str
    wire_id: str
    kind: str
    at: datetime
    reason_code: str = ""
    contact: str | None = None


def store_receipt(tx: Tx, receipt: ReceiptRecord, at: datetime) -> MessageRecord | None:
    """Store a receipt, and move its message, or the contact's message in doubt, if it can.

    Returns the message where one moved. A repeated receipt changes nothing, and one that arrives
    out of order never moves a message back.
    """
    stored = tx.execute(
        "INSERT INTO receipts (session, wire_id, kind, at, reason_code, contact)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            receipt.session,
            receipt.wire_id,
            receipt.kind,
            format_timestamp(receipt.at),
            receipt.reason_code,
            receipt.contact,
        ),
    )
    if not stored.rowcount:
        return None
    if message := find_message_by_wire_id(tx, receipt.session, receipt.wire_id):
        return apply_early_receipts(tx, message, at)
    return settle_doubt(tx, receipt.contact, at) if receipt.contact else None


def find_message_by_wire_id(reader: Reader, session: str, wire_id: str) -> MessageRecord | None:
    """Return the message with this wire id, sent through any session of the number, or None."""
    row = reader.one(
        f"SELECT * FROM messages WHERE wire_id = :wire_id AND {IS_OF_NUMBER}"
        " ORDER BY session = :session DESC",
        {"session": session, "wire_id": wire_id},
    )
    return messages.message_from_row(row) if row else None


def apply_early_receipts(tx: Tx, message: MessageRecord, at: datetime) -> MessageRecord | None:
    """Apply the receipts stored before the message's wire id was known; return it if it moved."""
    moved: MessageRecord | None = None
    rows = tx.all(
        "SELECT kind, reason_code FROM receipts"
        f" WHERE wire_id = :wire_id AND message IS NULL AND {IS_OF_NUMBER}",
        {"session": message.session, "wire_id": message.wire_id},
    )
    for row in sorted(rows, key=lambda each: list(_STATE_BY_RECEIPT_KIND).index(each["kind"])):
        target = _STATE_BY_RECEIPT_KIND[row["kind"]]
        # Not legal is, for one, `delivered` for what was read: it came too late, and is skipped.
        if is_legal_transition((moved or message).state, target, message.channel):
            moved = _transition_by_receipt(
                tx, message, target, at, row["reason_code"] or row["kind"]
            )
    tx.execute(
        f"UPDATE receipts SET message = :message WHERE wire_id = :wire_id AND {IS_OF_NUMBER}",
        {"message": message.id, "session": message.session, "wire_id": message.wire_id},
    )
    return moved


def settle_doubt(tx: Tx, contact: str, at: datetime) -> MessageRecord | None:
    """Mark a contact's message in doubt as sent where exactly one unknown wire id fits it.

    Call it when a receipt arrives and when a message becomes doubtful. Returns the message, or None
    where nothing was settled; with several messages or ids a person has to settle it.
    """
    # Only one message per contact is in flight at a time. So a receipt for an id that is neither
    # known nor typed on the phone, from after the send began, can only be that message's.
    doubtful = _list_in_doubt(tx, contact)
    if len(doubtful) != 1 or not is_legal_transition(
        doubtful[0].state, MessageState.SENT, doubtful[0].channel
    ):
        return None
    [message] = doubtful
    unknown = _list_unknown_wire_ids(tx, message, contact)
    if len(unknown) != 1:
        return None
    [(wire_id, seen_at)] = unknown.items()
    sent = messages.transition_message(
        tx,
        message.id,
        MessageState.SENT,
        at=at,
        reason_code="settled_by_receipt",
        sentence="A receipt shows that it was sent.",
        who=_RECEIPT_ACTOR,
        wire_id=wire_id,
        sent_at=seen_at,
    )
    return apply_early_receipts(tx, sent, at) or sent


def _list_in_doubt(reader: Reader, contact: str) -> list[MessageRecord]:
    rows = reader.all(
        "SELECT * FROM messages WHERE contact = ? AND state = ?", (contact, MessageState.IN_DOUBT)
    )
    return [messages.message_from_row(row) for row in rows]


def _list_unknown_wire_ids(
    reader: Reader, message: MessageRecord, contact: str
) -> dict[str, datetime]:
    """Return the unknown wire ids of a contact's receipts since the send began, with their time.

    Failures are left out: they do not show that anything was sent.
    """
    began = reader.value(
        "SELECT max(at) FROM message_history WHERE message = ? AND state = ?",
        (message.id, MessageState.SENDING),
    )
    rows = reader.all(
        "SELECT wire_id, min(at) AS at FROM receipts AS r"
        " WHERE contact = :contact AND session = :session AND message IS NULL"
        " AND kind <> 'failed' AND at >= :since"
        # An id that another session reported or sent is not unknown.
        " AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.wire_id = r.wire_id)"
        " AND NOT EXISTS (SELECT 1 FROM inbound AS i WHERE i.wire_id = r.wire_id"
        f"  AND i.contact = r.contact AND i.{IS_OF_NUMBER})"
        " GROUP BY wire_id",
        {
            "contact": contact,
            "session": message.session,
            "since": format_timestamp(parse_timestamp(began) - _CLOCK_TOLERANCE),
        },
    )
    return {row["wire_id"]: parse_timestamp(row["at"]) for row in rows}


def _transition_by_receipt(
    tx: Tx, message: MessageRecord, target: MessageState, at: datetime, reason_code: str
) -> MessageRecord:
    return messages.transition_message(
        tx,
        message.id,
        target,
        at=at,
        reason_code=reason_code,
        sentence=_SENTENCES[target],
        who=_RECEIPT_ACTOR,
    )
