"""The tables `alerts`, what is wrong since when, and `notices`, what is sent to people about it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from sqlite3 import Row
from typing import Final

from msgspec import Struct

from statemachines.vocabulary import AlertCode, NoticeKind
from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx

KEPT: Final = timedelta(days=90)
"""How long an alert that has ended is kept, with its notices."""
_LISTED_ALERT: Final = (
    "SELECT a.*, min(n.sent_at) AS notified_at, coalesce(max(CASE WHEN n.kind = 'began'"
    " THEN n.failure END), '') AS failure FROM alerts AS a LEFT JOIN notices AS n"
    " ON n.alert = a.id AND n.kind = 'began'"
)


class AlertRecord(Struct, frozen=True, kw_only=True):
    """Something that is wrong, or was: ``subject`` is a session, or the installation.

    ``began_at`` is since when, ``noticed_at`` when it was seen first, ``ended_at`` None while it
    lasts; ``gone_at`` is since when it is not there, which may not last. ``notified_at`` is when
    the first of the owner's targets took the notice of it; ``failure`` says why not all did.
    """

    id: int
    code: AlertCode
    subject: str
    sentence: str
    began_at: datetime
    noticed_at: datetime
    gone_at: datetime | None
    ended_at: datetime | None
    notified_at: datetime | None
    failure: str


class NoticeRecord(Struct, frozen=True, kw_only=True):
    """A text for the owner's targets.

    ``targets`` are the fingerprints of those that took it, ``sent_at`` when the first did.
    ``due_at`` is None once all of them did, or it was given up; ``failure`` says why.
    """

    id: int
    kind: NoticeKind
    at: datetime
    title: str
    text: str
    targets: tuple[str, ...]
    attempts: int
    due_at: datetime | None
    sent_at: datetime | None
    failure: str


def list_open_alerts(reader: Reader) -> list[AlertRecord]:
    """Return what is wrong now, the oldest first."""
    rows = reader.all(
        f"{_LISTED_ALERT} WHERE a.ended_at IS NULL GROUP BY a.id ORDER BY a.began_at, a.id"
    )
    return [_alert_from_row(row) for row in rows]


def list_alerts(reader: Reader, limit: int, before: int | None = None) -> list[AlertRecord]:
    """Return alerts, the latest first; with ``before``, those that were noticed before that one."""
    rows = reader.all(
        f"{_LISTED_ALERT} WHERE :before IS NULL OR a.id < :before"
        " GROUP BY a.id ORDER BY a.id DESC LIMIT :limit",
        {"before": before, "limit": limit},
    )
    return [_alert_from_row(row) for row in rows]


def insert_alert(
    tx: Tx, *, code: AlertCode, subject: str, sentence: str, began_at: datetime, at: datetime
) -> int | None:
    """Store that something is wrong, and return its id; None where that is known already."""
    cursor = tx.execute(
        "INSERT INTO alerts (code, subject, began_at, noticed_at, sentence)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (code, subject, format_timestamp(began_at), format_timestamp(at), sentence),
    )
    return cursor.lastrowid if cursor.rowcount else None


def mark_alert_seen(tx: Tx, alert: int) -> None:
    """Store that an alert is still there, although it seemed to be gone."""
    tx.execute("UPDATE alerts SET gone_at = NULL WHERE id = ?", (alert,))


def mark_alert_gone(tx: Tx, alert: int, at: datetime, wait: timedelta) -> datetime | None:
    """Store that an alert is not there; end it once it was gone for so long.

    Return since when it is gone, in the call that ended it; None in every other.
    """
    gone = tx.value("SELECT gone_at FROM alerts WHERE id = ?", (alert,))
    since = parse_timestamp(gone) if gone else at
    if not gone:
        tx.execute("UPDATE alerts SET gone_at = ? WHERE id = ?", (format_timestamp(at), alert))
    if at - since < wait:
        return None
    tx.execute("UPDATE alerts SET ended_at = gone_at WHERE id = ?", (alert,))
    return since


def insert_notice(
    tx: Tx, *, kind: NoticeKind, at: datetime, title: str, text: str, alert: int | None = None
) -> int:
    """Store a text that is to be sent at once, and return its id."""
    moment = format_timestamp(at)
    cursor = tx.execute(
        "INSERT INTO notices (kind, alert, at, title, text, due_at) VALUES (?, ?, ?, ?, ?, ?)",
        (kind, alert, moment, title, text, moment),
    )
    return cursor.lastrowid or 0


def list_due_notices(
    reader: Reader, at: datetime, limit: int, *, only: Collection[AlertCode] | None = None
) -> list[NoticeRecord]:
    """Return the notices that are to be sent now: those that nobody was sent yet before the others.

    What is still to be sent to somebody of an alert goes before what is due of it later. With
    ``only``, of alerts those with one of these codes; what belongs to no alert is there too.
    """
    codes = None if only is None else f" {' '.join(only)} "
    rows = reader.all(
        "SELECT n.* FROM notices AS n LEFT JOIN alerts AS a ON a.id = n.alert"
        " LEFT JOIN notices AS l ON l.alert = n.alert AND l.id > n.id AND l.due_at <= :at"
        " WHERE n.due_at IS NOT NULL AND (n.due_at <= :at OR l.id IS NOT NULL)"
        " AND (:codes IS NULL OR n.alert IS NULL OR instr(:codes, ' ' || a.code || ' '))"
        " ORDER BY min(n.attempts, coalesce(l.attempts, n.attempts)) > 0, n.id LIMIT :limit",
        {"at": format_timestamp(at), "codes": codes, "limit": limit},
    )
    return [_notice_from_row(row) for row in rows]


def count_pending_notices(reader: Reader) -> int:
    """Return how many notices are still to be sent to somebody."""
    count: int = reader.value("SELECT count(*) FROM notices WHERE due_at IS NOT NULL")
    return count


def find_last_notice(reader: Reader, *, sent: bool) -> NoticeRecord | None:
    """Return the last notice that a target took; or the last that some target did not take."""
    condition = "sent_at IS NOT NULL ORDER BY sent_at" if sent else "failure <> '' ORDER BY at"
    row = reader.one(f"SELECT * FROM notices WHERE {condition} DESC, id DESC LIMIT 1")
    return _notice_from_row(row) if row else None


def find_last_morning(reader: Reader) -> datetime | None:
    """Return when the last morning line was written, or None."""
    found = reader.value("SELECT max(at) FROM notices WHERE kind = ?", (NoticeKind.MORNING,))
    return parse_timestamp(found) if found else None


def record_attempt(
    tx: Tx,
    notice: int,
    *,
    at: datetime,
    targets: tuple[str, ...],
    due_at: datetime | None,
    failure: str,
) -> None:
    """Store how an attempt to send a notice ended: who has it now, and when to try again."""
    tx.execute(
        "UPDATE notices SET attempts = attempts + 1, targets = :targets, due_at = :due,"
        " failure = :failure,"
        " sent_at = coalesce(sent_at, iif(:targets = '', NULL, :at)) WHERE id = :id",
        {
            "id": notice,
            "at": format_timestamp(at),
            "targets": " ".join(targets),
            "due": due_at and format_timestamp(due_at),
            "failure": failure,
        },
    )


def delete_old_alerts(tx: Tx, now: datetime) -> None:
    """Delete what ended long ago, and notices of that time."""
    before = format_timestamp(now - KEPT)
    ended = "SELECT id FROM alerts WHERE ended_at < ?"
    tx.execute(f"DELETE FROM notices WHERE alert IN ({ended})", (before,))
    tx.execute("DELETE FROM alerts WHERE ended_at < ?", (before,))
    tx.execute("DELETE FROM notices WHERE alert IS NULL AND due_at IS NULL AND at < ?", (before,))


def _alert_from_row(row: Row) -> AlertRecord:
    return AlertRecord(
        id=row["id"],
        code=AlertCode(row["code"]),
        subject=row["subject"],
        sentence=row["sentence"],
        began_at=parse_timestamp(row["began_at"]),
        noticed_at=parse_timestamp(row["noticed_at"]),
        gone_at=_parse_optional(row["gone_at"]),
        ended_at=_parse_optional(row["ended_at"]),
        notified_at=_parse_optional(row["notified_at"]),
        failure=row["failure"],
    )


def _notice_from_row(row: Row) -> NoticeRecord:
    return NoticeRecord(
        id=row["id"],
        kind=NoticeKind(row["kind"]),
        at=parse_timestamp(row["at"]),
        title=row["title"],
        text=row["text"],
        targets=tuple(row["targets"].split()),
        attempts=row["attempts"],
        due_at=_parse_optional(row["due_at"]),
        sent_at=_parse_optional(row["sent_at"]),
        failure=row["failure"],
    )


def _parse_optional(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None
