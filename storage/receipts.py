"""Receipts: the platform's later word on a message. They move it forward only, or wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from statemachines.message import MessageState, is_legal
from storage import messages
from storage.messages import MessageRecord
from storage.times import parse, stamp
from storage.tx import Reader, Tx

_STATES: Final = {
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "failed": MessageState.FAILED,
}
"""In the order in which a message passes them; what came late is skipped."""

_SENTENCES: Final = {
    MessageState.DELIVERED: "It reached their phone.",
    MessageState.READ: "They read it.",
    MessageState.FAILED: "WhatsApp says that it could not be delivered.",
}
_WHO: Final = "receipt"
_SERVER_CLOCK: Final = timedelta(seconds=2)
"""Receipts carry the platform's time, in whole seconds, and its clock is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRecord:
    """A receipt: ``kind`` is delivered, read or failed; ``contact`` is None for a stranger."""

    session: str
    wire_id: str
    kind: str
    at: datetime
    reason_code: str = ""
    contact: str | None = None


def note(tx: Tx, receipt: ReceiptRecord, at: datetime) -> MessageRecord | None:
    """Store a receipt once and move the message it speaks of, or settle a doubt by it.

    Returns the message where one moved. The same receipt twice changes nothing, and one that
    comes out of order never moves a message back.
    """
    stored = tx.execute(
        "INSERT INTO receipts (session, wire_id, kind, at, reason_code, contact)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            receipt.session,
            receipt.wire_id,
            receipt.kind,
            stamp(receipt.at),
            receipt.reason_code,
            receipt.contact,
        ),
    )
    if not stored.rowcount:
        return None
    if message := by_wire_id(tx, receipt.session, receipt.wire_id):
        return apply_early(tx, message, at)
    return settle_doubt(tx, receipt.contact, at) if receipt.contact else None


def by_wire_id(reader: Reader, session: str, wire_id: str) -> MessageRecord | None:
    """Return the message that was acknowledged under this id, or None."""
    row = reader.one("SELECT * FROM messages WHERE session = ? AND wire_id = ?", (session, wire_id))
    return messages.record(row) if row else None


def apply_early(tx: Tx, message: MessageRecord, at: datetime) -> MessageRecord | None:
    """Apply the receipts that wait for a message's id; return it where it moved."""
    moved: MessageRecord | None = None
    rows = tx.all(
        "SELECT kind, reason_code FROM receipts"
        " WHERE session = ? AND wire_id = ? AND message IS NULL",
        (message.session, message.wire_id),
    )
    for row in sorted(rows, key=lambda each: list(_STATES).index(each["kind"])):
        target = _STATES[row["kind"]]
        if is_legal((moved or message).state, target, message.channel):
            moved = _move(tx, message, target, at, row["reason_code"] or row["kind"])
    tx.execute(
        "UPDATE receipts SET message = ? WHERE session = ? AND wire_id = ?",
        (message.id, message.session, message.wire_id),
    )
    return moved


def settle_doubt(tx: Tx, contact: str, at: datetime) -> MessageRecord | None:
    """Settle a contact's one message in doubt by the one unknown id that speaks of it.

    Only one message per contact can be on its way, so a receipt for an id that is neither known
    nor typed on the phone, from after the send began, belongs to it. Two of either: a person
    settles it. Call it where a receipt comes, and where a message falls into doubt.
    """
    doubtful = _in_doubt(tx, contact)
    if len(doubtful) != 1 or not is_legal(
        doubtful[0].state, MessageState.SENT, doubtful[0].channel
    ):
        return None
    [message] = doubtful
    unknown = _unknown_ids(tx, message, contact)
    if len(unknown) != 1:
        return None
    [(wire_id, seen_at)] = unknown.items()
    sent = messages.move(
        tx,
        message.id,
        MessageState.SENT,
        at=at,
        reason_code="settled_by_receipt",
        sentence="A receipt shows that it did go out.",
        who=_WHO,
        wire_id=wire_id,
        sent_at=seen_at,
    )
    return apply_early(tx, sent, at) or sent


def _in_doubt(reader: Reader, contact: str) -> list[MessageRecord]:
    rows = reader.all(
        "SELECT * FROM messages WHERE contact = ? AND state = ?", (contact, MessageState.IN_DOUBT)
    )
    return [messages.record(row) for row in rows]


def _unknown_ids(reader: Reader, message: MessageRecord, contact: str) -> dict[str, datetime]:
    """Return the ids nobody knows that arrived at this contact since the send began."""
    began = reader.value(
        "SELECT max(at) FROM message_history WHERE message = ? AND state = ?",
        (message.id, MessageState.SENDING),
    )
    rows = reader.all(
        "SELECT wire_id, min(at) AS at FROM receipts AS r"
        " WHERE contact = ? AND session = ? AND message IS NULL AND kind <> 'failed' AND at >= ?"
        " AND NOT EXISTS (SELECT 1 FROM inbound AS i"
        "  WHERE i.session = r.session AND i.wire_id = r.wire_id)"
        " GROUP BY wire_id",
        (contact, message.session, stamp(parse(began) - _SERVER_CLOCK)),
    )
    return {row["wire_id"]: parse(row["at"]) for row in rows}


def _move(
    tx: Tx, message: MessageRecord, target: MessageState, at: datetime, reason_code: str
) -> MessageRecord:
    return messages.move(
        tx,
        message.id,
        target,
        at=at,
        reason_code=reason_code,
        sentence=_SENTENCES[target],
        who=_WHO,
    )
