"""The audit: what a person decided, when, about what, and why. Append-only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.times import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry; ``subject`` is the id of what was acted on, ``detail`` plain JSON types."""

    at: datetime
    who: str
    action: str
    subject: str
    reason: str
    detail: Mapping[str, object]


def insert_audit_entry(
    tx: Tx,
    at: datetime,
    who: str,
    action: str,
    subject: str,
    reason: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Append one entry, in the transaction of what it tells of."""
    tx.execute(
        "INSERT INTO audit (at, who, action, subject, reason, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (format_timestamp(at), who, action, subject, reason, json.dumps(dict(detail or {}))),
    )


def list_subject_audit_entries(reader: Reader, subject: str) -> list[AuditEntry]:
    """Return the entries about one thing, oldest first."""
    rows = reader.all("SELECT * FROM audit WHERE subject = ? ORDER BY id", (subject,))
    return [
        AuditEntry(
            parse_timestamp(row["at"]),
            row["who"],
            row["action"],
            row["subject"],
            row["reason"],
            json.loads(row["detail"]),
        )
        for row in rows
    ]
