"""The `imports` and `import_records` tables: each import, and the outcome of each of its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.tx import Reader, Tx

if TYPE_CHECKING:
    import sqlite3


class ImportRowOutcome(StrEnum):
    """The outcome of one data record of an import."""

    ACCEPTED = "accepted"
    ACCEPTED_FIXED_LINE = "accepted_fixed_line"
    ACCEPTED_NOT_REACHABLE = "accepted_not_reachable"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """An import as stored; ``finished_at`` is None until its last record is in."""

    id: str
    content_hash: str
    source: str
    filename: str
    at: datetime
    who: str
    options: Mapping[str, object]
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportRowRecord:
    """The outcome of one data record. ``record`` counts from 2, as line 1 has the column names."""

    record: int
    outcome: ImportRowOutcome
    phone: str | None
    prospect: str | None
    reason_code: str = ""
    sentence: str = ""


def begin_import(
    tx: Tx,
    *,
    content_hash: str,
    source: str,
    filename: str,
    who: str,
    options: Mapping[str, object],
    at: datetime,
) -> ImportRecord:
    """Return the import of this content: the one that was begun before, or a new one."""
    # The same content again continues its import, so that one that was cut short can be repeated.
    tx.execute(
        "INSERT INTO imports (id, content_hash, source, filename, at, who, options)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (content_hash) DO NOTHING",
        (
            new_id("imp", at),
            content_hash,
            source,
            filename,
            format_timestamp(at),
            who,
            json.dumps(dict(options), ensure_ascii=False, sort_keys=True),
        ),
    )
    (row,) = tx.all("SELECT * FROM imports WHERE content_hash = ?", (content_hash,))
    return _import_from_row(row)


def get_import(reader: Reader, import_id: str) -> ImportRecord | None:
    """Return one import, or None."""
    row = reader.one("SELECT * FROM imports WHERE id = ?", (import_id,))
    return None if row is None else _import_from_row(row)


def list_written_records(reader: Reader, import_id: str, first: int, last: int) -> set[int]:
    """Return which records of this range have their outcome, from this run or an earlier one."""
    rows = reader.all(
        "SELECT record FROM import_records WHERE import = ? AND record BETWEEN ? AND ?",
        (import_id, first, last),
    )
    return {row["record"] for row in rows}


def insert_import_rows(tx: Tx, import_id: str, results: Sequence[ImportRowRecord]) -> None:
    """Store the outcomes of records."""
    tx.execute_many(
        "INSERT INTO import_records (import, record, outcome, phone, prospect, reason_code,"
        " sentence) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                import_id,
                each.record,
                each.outcome,
                each.phone,
                each.prospect,
                each.reason_code,
                each.sentence,
            )
            for each in results
        ],
    )


def list_import_rows(
    reader: Reader, import_id: str, *, outcome: ImportRowOutcome | None = None
) -> list[ImportRowRecord]:
    """Return the outcomes of the records in file order; only those with ``outcome``, if given."""
    rows = reader.all(
        "SELECT * FROM import_records WHERE import = :import"
        " AND (:outcome IS NULL OR outcome = :outcome)"
        " ORDER BY record",
        {"import": import_id, "outcome": outcome},
    )
    return [
        ImportRowRecord(
            row["record"],
            ImportRowOutcome(row["outcome"]),
            row["phone"],
            row["prospect"],
            row["reason_code"],
            row["sentence"],
        )
        for row in rows
    ]


def count_import_rows(reader: Reader, import_id: str) -> dict[ImportRowOutcome, int]:
    """Return how many records had each outcome; every outcome has its entry."""
    rows = reader.all(
        "SELECT outcome, count(*) AS n FROM import_records WHERE import = ? GROUP BY outcome",
        (import_id,),
    )
    return dict.fromkeys(ImportRowOutcome, 0) | {
        ImportRowOutcome(row["outcome"]): row["n"] for row in rows
    }


def finish_import(tx: Tx, import_id: str, *, at: datetime) -> dict[ImportRowOutcome, int]:
    """Mark the import as finished, and return how many records had each outcome."""
    found = count_import_rows(tx, import_id)
    duplicates, rejected = found[ImportRowOutcome.DUPLICATE], found[ImportRowOutcome.REJECTED]
    tx.execute(
        "UPDATE imports SET finished_at = ?, accepted = ?, duplicates = ?, rejected = ?"
        " WHERE id = ?",
        (
            format_timestamp(at),
            sum(found.values()) - duplicates - rejected,
            duplicates,
            rejected,
            import_id,
        ),
    )
    return found


def _import_from_row(row: sqlite3.Row) -> ImportRecord:
    return ImportRecord(
        row["id"],
        row["content_hash"],
        row["source"],
        row["filename"],
        parse_timestamp(row["at"]),
        row["who"],
        json.loads(row["options"]),
        parse_timestamp(row["finished_at"]) if row["finished_at"] else None,
    )


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """An import, and how many of its records had each outcome."""

    record: ImportRecord
    counts: dict[ImportRowOutcome, int]


def list_imports(reader: Reader, limit: int = 20) -> list[ImportSummary]:
    """Return the latest imports, newest first."""
    rows = reader.all("SELECT id FROM imports ORDER BY id DESC LIMIT ?", (limit,))
    found = (get_import(reader, row["id"]) for row in rows)
    return [ImportSummary(each, count_import_rows(reader, each.id)) for each in found if each]
