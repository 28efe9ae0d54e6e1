"""Undoing imports: its progress in `imports` and `import_records`, and who may be removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from storage import evidence, suppressions
from storage.column_formats import format_timestamp, parse_timestamp
from storage.evidence import Evidence, EvidenceKind
from storage.imports import IMPORT_NUMBER, ImportRecord
from storage.prospects import ProspectRecord
from storage.tx import Reader, Tx


class UndoOutcome(StrEnum):
    """What undoing an import did with a person of its list: removed, or the reason to stay."""

    REMOVED = "removed"
    HERE_BEFORE = "here_before"
    IN_ANOTHER_LIST = "in_another_list"
    REFUSED = "refused"
    OPTED_OUT = "opted_out"
    WRITTEN_TO = "written_to"
    WROTE = "wrote"
    CHANGED = "changed"
    """Somebody checked, validated, corrected or reviewed them."""


class UndoRecord(Struct, frozen=True):
    """The undoing of an import; ``done_at`` is None until all of its people were looked at."""

    asked_at: datetime
    who: str
    reason: str
    done_at: datetime | None


class StayingPerson(Struct, frozen=True):
    """A person of an undone import who stays, and why. ``prospect`` may be erased by now."""

    record: int
    prospect: str
    name: str
    phone: str
    outcome: UndoOutcome


def begin_undo(tx: Tx, import_id: str, *, who: str, reason: str, at: datetime) -> None:
    """Note that a person undoes this import."""
    tx.execute(
        "UPDATE imports SET undo_asked_at = ?, undo_asked_by = ?, undo_reason = ? WHERE id = ?",
        (format_timestamp(at), who, reason, import_id),
    )


def finish_undo(tx: Tx, import_id: str, *, at: datetime) -> None:
    """Note that everybody of this import was looked at."""
    tx.execute("UPDATE imports SET undone_at = ? WHERE id = ?", (format_timestamp(at), import_id))


def get_undo(reader: Reader, import_id: str) -> UndoRecord | None:
    """Return the undoing of an import, or None where nobody asked for it."""
    row = reader.one("SELECT * FROM imports WHERE id = ?", (import_id,))
    if row is None or row["undo_asked_at"] is None:
        return None
    return UndoRecord(
        parse_timestamp(row["undo_asked_at"]),
        row["undo_asked_by"],
        row["undo_reason"],
        parse_timestamp(row["undone_at"]) if row["undone_at"] else None,
    )


def list_begun_undos(reader: Reader) -> list[str]:
    """Return the imports whose undoing has not come to its end, oldest first."""
    rows = reader.all(
        "SELECT id FROM imports WHERE undo_asked_at IS NOT NULL AND undone_at IS NULL"
        " ORDER BY undo_asked_at"
    )
    return [row["id"] for row in rows]


def list_people_to_undo(
    reader: Reader, import_id: str, *, after: int, limit: int
) -> list[tuple[int, str]]:
    """Return the next records past ``after``, each with its prospect, that nobody looked at yet."""
    rows = reader.all(
        f"SELECT record, prospect FROM import_records WHERE import = {IMPORT_NUMBER}"
        " AND record > :after AND prospect IS NOT NULL AND undo IS NULL"
        " ORDER BY record LIMIT :limit",
        {"import": import_id, "after": after, "limit": limit},
    )
    return [(row["record"], row["prospect"]) for row in rows]


def mark_record(tx: Tx, import_id: str, record: int, outcome: UndoOutcome) -> None:
    """Note what undoing did with the person of a record; of one who was removed no data stays."""
    tx.execute(
        "UPDATE import_records SET undo = :outcome, phone = iif(:gone, NULL, phone),"
        " prospect = iif(:gone, NULL, prospect)"
        f" WHERE import = {IMPORT_NUMBER} AND record = :record",
        {
            "outcome": outcome.value,
            "gone": outcome is UndoOutcome.REMOVED,
            "import": import_id,
            "record": record,
        },
    )


def count_undo_outcomes(reader: Reader, import_id: str) -> tuple[dict[UndoOutcome, int], int]:
    """Return how many records had each outcome, and how many are left to look at."""
    rows = reader.all(
        f"SELECT undo, count(*) AS n FROM import_records WHERE import = {IMPORT_NUMBER}"
        " AND (undo IS NOT NULL OR prospect IS NOT NULL) GROUP BY undo",
        {"import": import_id},
    )
    counts = {row["undo"]: row["n"] for row in rows}
    left = counts.pop(None, 0)
    return {UndoOutcome(outcome): n for outcome, n in counts.items()}, left


def list_staying_people(reader: Reader, import_id: str, limit: int) -> list[StayingPerson]:
    """Return who stays after undoing an import, in file order; who was here before comes last."""
    rows = reader.all(
        "SELECT r.record, r.prospect, r.undo, p.name, p.phone FROM import_records AS r"
        f" JOIN prospects AS p ON p.id = r.prospect WHERE r.import = {IMPORT_NUMBER}"
        " AND r.undo IS NOT NULL ORDER BY r.undo = :last, r.record LIMIT :limit",
        {"import": import_id, "last": UndoOutcome.HERE_BEFORE.value, "limit": limit},
    )
    return [
        StayingPerson(
            row["record"], row["prospect"], row["name"], row["phone"], UndoOutcome(row["undo"])
        )
        for row in rows
    ]


def find_reason_to_stay(
    reader: Reader, undone: ImportRecord, prospect: ProspectRecord
) -> UndoOutcome | None:
    """Return why a person stays; None where only this import made them and nothing happened."""
    if prospect.import_id != undone.id:
        return UndoOutcome.HERE_BEFORE
    contact = prospect.contact
    pieces = evidence.list_contact_evidence(reader, contact)
    if suppressions.is_contact_suppressed(reader, contact):
        return UndoOutcome.OPTED_OUT
    if any(_is_refusal(piece) for piece in pieces):
        return UndoOutcome.REFUSED
    for outcome, query in _HAPPENED:
        if reader.value(query, {"contact": contact, "prospect": prospect.id, "import": undone.id}):
            return outcome
    ours = {piece.id for piece in list_pieces_of_import(undone, pieces)}
    others = [piece for piece in pieces if piece.id not in ours]
    if any(piece.kind is EvidenceKind.PERMISSION for piece in others):
        return UndoOutcome.IN_ANOTHER_LIST
    return UndoOutcome.CHANGED if others else None


def list_pieces_of_import(undone: ImportRecord, pieces: Sequence[Evidence]) -> list[Evidence]:
    """Return the pieces of evidence that this import brought."""
    begin = f"{undone.filename}, record "
    return [
        piece
        for piece in pieces
        if piece.source.startswith(begin)
        and piece.at >= undone.at
        and (undone.finished_at is None or piece.at <= undone.finished_at)
    ]


def _is_refusal(piece: Evidence) -> bool:
    return piece.kind is EvidenceKind.DECLINED or piece.value == "refused"


_HAPPENED: Final = (
    (UndoOutcome.WRITTEN_TO, "SELECT 1 FROM messages WHERE contact = :contact"),
    (UndoOutcome.WROTE, "SELECT 1 FROM inbound WHERE contact = :contact"),
    (
        UndoOutcome.CHANGED,
        (
            "SELECT 1 FROM prospect_reviews WHERE contact = :contact"
            " UNION ALL SELECT 1 FROM receipts WHERE contact = :contact"
            " UNION ALL SELECT 1 FROM quarantined_signals WHERE contact = :contact"
            " UNION ALL SELECT 1 FROM suppressions WHERE contact = :contact"
            " UNION ALL SELECT 1 FROM contacts WHERE merged_into = :contact"
            " UNION ALL SELECT 1 FROM contacts WHERE id = :contact AND (review_reason IS NOT NULL"
            " OR created_at < (SELECT at FROM imports WHERE id = :import))"
            # Somebody who only looked at a number changed nothing.
            " UNION ALL SELECT 1 FROM audit WHERE subject IN (:contact, :prospect)"
            " AND action <> 'number_revealed'"
        ),
    ),
)
"""What may have happened to a person since, each with the question for it."""
