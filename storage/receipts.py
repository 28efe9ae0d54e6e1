"""The `receipts` table: stores delivery receipts, and applies them to messages.

A receipt moves a message forward only. One for an unknown wire id is stored until that is known.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

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


class ReceiptRecord(Struct, frozen=True, kw_only=True):
    """A receipt: ``kind`` is delivered, read or failed; ``contact`` is None where unknown."""

    session: str
    wire_id: str
    kind: str
    at: datetime
    reason_code: str = ""
    contact: str | None = None


class _UnknownReceipt(Struct, frozen=True):
    """What an id that is no known message's has a receipt for, and when that came."""

    wire_id: str
    at: datetime
    received_at: datetime


def store_receipt(tx: Tx, receipt: ReceiptRecord, at: datetime) -> MessageRecord | None:
    """Store a receipt, and move its message if it can.

    Returns the message where one moved. A repeated receipt changes nothing, and one that arrives
    out of order never moves a message back.
    """
    stored = tx.execute(
        "INSERT INTO receipts (session, wire_id, kind, at, received_at, reason_code, contact)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            receipt.session,
            receipt.wire_id,
            receipt.kind,
            format_timestamp(receipt.at),
            format_timestamp(at),
            receipt.reason_code,
            receipt.contact,
        ),
    )
    if not stored.rowcount:
        return None
    message = find_message_by_wire_id(tx, receipt.session, receipt.wire_id)
    return apply_early_receipts(tx, message, at) if message else None


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


def settle_doubts(tx: Tx, at: datetime, *, received_before: datetime) -> int:
    """Mark each message in doubt as sent to which exactly one unknown wire id fits.

    An id counts once its first receipt came before ``received_before``: until then the phone may
    still report that it is the id of something typed there. Returns how many were settled; with
    several messages or ids a person has to settle it.
    """
    doubtful = tx.all("SELECT * FROM messages WHERE state = ?", (MessageState.IN_DOUBT,))
    by_contact: dict[str, list[MessageRecord]] = {}
    for message in map(messages.message_from_row, doubtful):
        by_contact.setdefault(message.contact, []).append(message)
    # Only one message per contact is in flight at a time. So a receipt for an id that is neither
    # known nor typed on the phone, from after the send began, can only be that message's.
    return sum(
        _settle_doubt(tx, found[0], at, received_before)
        for found in by_contact.values()
        if len(found) == 1
    )


def _settle_doubt(tx: Tx, message: MessageRecord, at: datetime, received_before: datetime) -> bool:
    if not is_legal_transition(message.state, MessageState.SENT, message.channel):
        return False
    unknown = _list_unknown_receipts(tx, message)
    if len(unknown) != 1 or unknown[0].received_at >= received_before:
        return False
    sent = messages.transition_message(
        tx,
        message.id,
        MessageState.SENT,
        at=at,
        reason_code="settled_by_receipt",
        sentence="A receipt shows that it was sent.",
        who=_RECEIPT_ACTOR,
        wire_id=unknown[0].wire_id,
        sent_at=unknown[0].at,
    )
    apply_early_receipts(tx, sent, at)
    return True


def _list_unknown_receipts(reader: Reader, message: MessageRecord) -> list[_UnknownReceipt]:
    """Return the unknown wire ids of the contact's receipts since the send of a message began.

    Failures are left out: they do not show that anything was sent.
    """
    # Without a send on record it waited in a restored backup, and was sent after that was made.
    began = reader.value(
        "SELECT coalesce(max(CASE state WHEN :sending THEN at END), max(at)) FROM message_history"
        " WHERE message = :message AND state <> :in_doubt",
        {
            "message": message.id,
            "sending": MessageState.SENDING,
            "in_doubt": MessageState.IN_DOUBT,
        },
    )
    rows = reader.all(
        "SELECT wire_id, min(at) AS at, min(received_at) AS received_at FROM receipts AS r"
        " WHERE contact = :contact AND session = :session AND message IS NULL"
        " AND kind <> 'failed' AND at >= :since"
        # An id that another session reported or sent is not unknown.
        " AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.wire_id = r.wire_id)"
        " AND NOT EXISTS (SELECT 1 FROM inbound AS i WHERE i.wire_id = r.wire_id"
        f"  AND i.contact = r.contact AND i.{IS_OF_NUMBER})"
        " GROUP BY wire_id",
        {
            "contact": message.contact,
            "session": message.session,
            "since": format_timestamp(parse_timestamp(began) - _CLOCK_TOLERANCE),
        },
    )
    # Never before the send: the platform's clock counts whole seconds, and may be behind ours.
    return [
        _UnknownReceipt(
            row["wire_id"],
            parse_timestamp(max(row["at"], began)),
            parse_timestamp(row["received_at"]),
        )
        for row in rows
    ]


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
