"""The `decisions`, `permits` and `approvals` tables: the record of why a message may be sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import encode_json, format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


class DecisionRecord(Struct, frozen=True, kw_only=True):
    """One decision of the gate on one message. ``facts`` has the text's hash, never the text."""

    id: str
    message: str
    at: datetime
    phase: str
    ruleset: str
    verdict: str
    body_hash: str
    recipient: str
    document: Mapping[str, object]
    facts: Mapping[str, object]
    microseconds: int


def insert_decision(tx: Tx, decision: DecisionRecord) -> None:
    """Store a decision; it is never changed afterwards."""
    tx.execute(
        "INSERT INTO decisions (id, message, at, phase, ruleset, verdict, body_hash, recipient,"
        " document, facts, microseconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            decision.id,
            decision.message,
            format_timestamp(decision.at),
            decision.phase,
            decision.ruleset,
            decision.verdict,
            decision.body_hash,
            decision.recipient,
            encode_json(decision.document),
            encode_json(decision.facts),
            decision.microseconds,
        ),
    )


def redeem_permit(
    tx: Tx,
    *,
    permit: str,
    message: str,
    decision: str,
    document: str,
    at: datetime,
    expires_at: datetime,
) -> None:
    """Redeem a permit: once, and only one for each decision. Raises sqlite3.IntegrityError."""
    # The table's keys (id, and decision UNIQUE) refuse the second one.
    tx.execute(
        "INSERT INTO permits (id, message, decision, document, redeemed_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (permit, message, decision, document, format_timestamp(at), format_timestamp(expires_at)),
    )


def insert_approval(
    tx: Tx,
    *,
    message: str,
    body_hash: str,
    recipient: str,
    channel: str,
    who: str,
    reason: str,
    at: datetime,
    expires_at: datetime,
) -> None:
    """Record a person's approval of exactly this text to this recipient by this channel."""
    tx.execute(
        "INSERT INTO approvals (message, body_hash, recipient, channel, who, reason, at,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message,
            body_hash,
            recipient,
            channel,
            who,
            reason,
            format_timestamp(at),
            format_timestamp(expires_at),
        ),
    )


def is_message_approved(
    reader: Reader, *, message: str, body_hash: str, recipient: str, channel: str, at: datetime
) -> bool:
    """Return whether an approval for exactly this message is in force."""
    return bool(
        reader.value(
            "SELECT 1 FROM approvals WHERE message = ? AND body_hash = ? AND recipient = ?"
            " AND channel = ? AND expires_at > ?",
            (message, body_hash, recipient, channel, format_timestamp(at)),
        )
    )


def list_message_decisions(reader: Reader, message: str) -> list[DecisionRecord]:
    """Return every decision on a message, oldest first."""
    rows = reader.all("SELECT * FROM decisions WHERE message = ? ORDER BY rowid", (message,))
    return [_decision_from_row(row) for row in rows]


def get_decision(reader: Reader, decision: str) -> DecisionRecord | None:
    """Return one decision, or None."""
    row = reader.one("SELECT * FROM decisions WHERE id = ?", (decision,))
    return _decision_from_row(row) if row else None


def search_decisions(
    reader: Reader,
    *,
    message: str = "",
    verdict: str = "",
    phase: str = "",
    ruleset: str = "",
    after: str = "",
    limit: int = 50,
) -> list[DecisionRecord]:
    """Return decisions, newest first, past the id ``after``; ``ruleset`` is a prefix of a hash."""
    rows = reader.all(
        "SELECT * FROM decisions WHERE (:message = '' OR message = :message)"
        " AND (:verdict = '' OR verdict = :verdict) AND (:phase = '' OR phase = :phase)"
        " AND substr(ruleset, 1, length(:ruleset)) = :ruleset"
        " AND (:after = '' OR id < :after) ORDER BY id DESC LIMIT :limit",
        {
            "message": message,
            "verdict": verdict,
            "phase": phase,
            "ruleset": ruleset,
            "after": after,
            "limit": limit,
        },
    )
    return [_decision_from_row(row) for row in rows]


def get_latest_contact_decision(reader: Reader, contact: str) -> DecisionRecord | None:
    """Return the newest decision on any message to a contact, or None."""
    row = reader.one(
        "SELECT d.* FROM decisions AS d JOIN messages AS m ON m.id = d.message"
        " WHERE m.contact = ? ORDER BY d.at DESC, d.rowid DESC LIMIT 1",
        (contact,),
    )
    return _decision_from_row(row) if row else None


def is_message_rerouted(reader: Reader, message: str) -> bool:
    """Return whether a decision has routed the message to another channel before."""
    return bool(
        reader.value("SELECT 1 FROM decisions WHERE message = ? AND verdict = 'route'", (message,))
    )


def count_decisions_by_verdict(reader: Reader) -> dict[str, int]:
    """Return how many decisions gave each verdict."""
    rows = reader.all("SELECT verdict, count(*) AS n FROM decisions GROUP BY verdict")
    return {row["verdict"]: row["n"] for row in rows}


def _decision_from_row(row: sqlite3.Row) -> DecisionRecord:
    return DecisionRecord(
        id=row["id"],
        message=row["message"],
        at=parse_timestamp(row["at"]),
        phase=row["phase"],
        ruleset=row["ruleset"],
        verdict=row["verdict"],
        body_hash=row["body_hash"],
        recipient=row["recipient"],
        document=json.loads(row["document"]),
        facts=json.loads(row["facts"]),
        microseconds=row["microseconds"],
    )
