"""The append-only `audit` table: who did what to what, when and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx

if TYPE_CHECKING:
    import sqlite3


class AuditEntry(Struct, frozen=True):
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
    """Append one entry, in the transaction of the change that it records."""
    tx.execute(
        "INSERT INTO audit (at, who, action, subject, reason, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (format_timestamp(at), who, action, subject, reason, json.dumps(dict(detail or {}))),
    )


def list_subject_audit_entries(reader: Reader, subject: str) -> list[AuditEntry]:
    """Return the entries about one thing, oldest first."""
    rows = reader.all("SELECT * FROM audit WHERE subject = ? ORDER BY id", (subject,))
    return [_entry_from_row(row) for row in rows]


def _entry_from_row(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        at=parse_timestamp(row["at"]),
        who=row["who"],
        action=row["action"],
        subject=row["subject"],
        reason=row["reason"],
        detail=json.loads(row["detail"]),
    )


class NumberedAuditEntry(Struct, frozen=True):
    """An entry of the audit with its number, the cursor of a list."""

    number: int
    entry: AuditEntry

    @property
    def id(self) -> str:
        """Return the number as a selection names it."""
        return str(self.number)


def list_audit_entries(
    reader: Reader,
    *,
    who: str = "",
    action: str = "",
    subject: str = "",
    numbers: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[NumberedAuditEntry]:
    """Return entries of the audit, newest first, older than the number `before`.

    With `numbers`, these alone.
    """
    rows = reader.all(
        "SELECT * FROM audit WHERE (:who = '' OR who = :who)"
        " AND (:action = '' OR action = :action) AND (:subject = '' OR subject = :subject)"
        " AND (:numbers IS NULL OR CAST(id AS TEXT) IN (SELECT value FROM json_each(:numbers)))"
        " AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit",
        {
            "who": who,
            "action": action,
            "subject": subject,
            "before": before,
            "limit": limit,
            "numbers": None if numbers is None else json.dumps(list(numbers)),
        },
    )
    return [NumberedAuditEntry(row["id"], _entry_from_row(row)) for row in rows]


def list_audit_filters(reader: Reader) -> tuple[list[str], list[str]]:
    """Return every name and every action in the audit, each sorted: the choices of a filter."""
    return (
        [row[0] for row in reader.all("SELECT DISTINCT who FROM audit ORDER BY who")],
        [row[0] for row in reader.all("SELECT DISTINCT action FROM audit ORDER BY action")],
    )
