"""The `quarantined_signals` table: signals of a channel that could not be stored as they were."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from storage.column_formats import encode_json, format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


MAX_PER_SESSION: Final = 1000
"""How many are kept, so that a faulty channel can't fill the disk; settled ones go first."""


class QuarantinedSignal(Struct, frozen=True, kw_only=True):
    """A signal that could not be stored: its kind, the reason, and the fields that could be kept.

    ``kept`` are its fields by name, in JSON's types. ``request`` is what the kept text asks for,
    and ``contact`` its sender, where known. The ``settled_…`` fields are set once a person has
    dealt with it.
    """

    id: str
    session: str
    channel: str
    received_at: datetime
    signal: str
    reason_code: str
    sentence: str
    kept: Mapping[str, object]
    request: str
    contact: str | None = None
    settled_at: datetime | None = None
    settled_by: str | None = None
    settled_reason: str | None = None

    def __repr__(self) -> str:
        """Keep body and number out of logs."""
        return f"QuarantinedSignal({self.id!r}, {self.signal!r}, {self.reason_code!r})"


def insert_quarantined_signal(
    tx: Tx, record: QuarantinedSignal, *, limit: int = MAX_PER_SESSION
) -> bool:
    """Store a signal, and delete the oldest beyond ``limit``; return False for a known one."""
    kept = encode_json(record.kept)
    stored = tx.execute(
        "INSERT INTO quarantined_signals (id, session, channel, received_at, signal, reason_code,"
        " sentence, kept, request, contact, fingerprint)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, fingerprint) DO NOTHING",
        (
            record.id,
            record.session,
            record.channel,
            format_timestamp(record.received_at),
            record.signal,
            record.reason_code,
            record.sentence,
            kept,
            record.request,
            record.contact,
            _compute_fingerprint(record, kept),
        ),
    )
    if stored.rowcount:
        # Sorted so that what is beyond the limit is settled, then old. OFFSET needs a LIMIT: -1 is
        # none. The new row itself always stays.
        tx.execute(
            "DELETE FROM quarantined_signals WHERE id IN (SELECT id FROM quarantined_signals"
            " WHERE session = ? AND id <> ? ORDER BY settled_at IS NOT NULL, id DESC"
            " LIMIT -1 OFFSET ?)",
            (record.session, record.id, limit - 1),
        )
    return bool(stored.rowcount)


def _compute_fingerprint(record: QuarantinedSignal, kept: str) -> str:
    """Return a hash that two reports of one signal share; one without content has its own."""
    what = kept if record.kept else record.id
    return hashlib.sha256(f"{record.signal}\0{record.reason_code}\0{what}".encode()).hexdigest()


def get_quarantined_signal(reader: Reader, id_: str) -> QuarantinedSignal | None:
    """Return one signal, or None."""
    row = reader.one("SELECT * FROM quarantined_signals WHERE id = ?", (id_,))
    return _quarantined_signal_from_row(row) if row else None


def require_quarantined_signal(reader: Reader, id_: str) -> QuarantinedSignal:
    """Return a signal that must exist. Raises KeyError, a defect of the caller, otherwise."""
    found = get_quarantined_signal(reader, id_)
    if found is None:
        raise KeyError(id_)
    return found


def list_quarantined_signals(
    reader: Reader,
    *,
    session: str = "",
    settled: bool = False,
    after: str = "",
    limit: int = 50,
) -> list[QuarantinedSignal]:
    """Return signals, unsettled or settled ones, oldest first, past the id ``after``."""
    rows = reader.all(
        "SELECT * FROM quarantined_signals WHERE (settled_at IS NOT NULL) = :settled"
        " AND (:session = '' OR session = :session) AND id > :after ORDER BY id LIMIT :limit",
        {"settled": settled, "session": session, "after": after, "limit": limit},
    )
    return [_quarantined_signal_from_row(row) for row in rows]


def count_unsettled_signals(reader: Reader) -> int:
    """Return how many signals wait for a person."""
    n: int = reader.value("SELECT count(*) FROM quarantined_signals WHERE settled_at IS NULL")
    return n


def has_unsettled_signal(reader: Reader, contact: str) -> bool:
    """Return whether a signal of the contact waits for a person."""
    found = reader.value(
        "SELECT 1 FROM quarantined_signals WHERE settled_at IS NULL AND contact = ?", (contact,)
    )
    return found is not None


def settle_quarantined_signal(tx: Tx, id_: str, *, at: datetime, who: str, reason: str) -> None:
    """Mark a signal as dealt with, with the person's name and reason."""
    tx.execute(
        "UPDATE quarantined_signals SET settled_at = ?, settled_by = ?, settled_reason = ?"
        " WHERE id = ?",
        (format_timestamp(at), who, reason, id_),
    )


def _quarantined_signal_from_row(row: sqlite3.Row) -> QuarantinedSignal:
    settled_at = row["settled_at"]
    return QuarantinedSignal(
        id=row["id"],
        session=row["session"],
        channel=row["channel"],
        received_at=parse_timestamp(row["received_at"]),
        signal=row["signal"],
        reason_code=row["reason_code"],
        sentence=row["sentence"],
        kept=json.loads(row["kept"]),
        request=row["request"],
        contact=row["contact"],
        settled_at=parse_timestamp(settled_at) if settled_at else None,
        settled_by=row["settled_by"],
        settled_reason=row["settled_reason"],
    )
