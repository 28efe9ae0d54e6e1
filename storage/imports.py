"""The `imports`, `import_records` and `consent_words` tables: what lists brought, and may mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

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


class ImportRecord(Struct, frozen=True):
    """An import as stored; ``finished_at`` is None until its last record is in."""

    id: str
    content_hash: str
    file_hash: str
    source: str
    filename: str
    at: datetime
    who: str
    options: Mapping[str, object]
    origen_en_palabras: str
    finished_at: datetime | None


class ImportRowRecord(Struct, frozen=True):
    """The outcome of one data record. ``record`` counts from 2, as line 1 has the column names."""

    record: int
    outcome: ImportRowOutcome
    phone: str | None
    prospect: str | None
    reason_code: str = ""
    sentence: str = ""


IMPORT_NUMBER: Final = "(SELECT number FROM imports WHERE id = :import)"
"""SQL for what `import_records` refers to an import by, from its id."""


def begin_import(
    tx: Tx,
    *,
    content_hash: str,
    file_hash: str,
    source: str,
    filename: str,
    who: str,
    options: Mapping[str, object],
    at: datetime,
    origen_en_palabras: str = "",
) -> ImportRecord:
    """Return the import of this content: the one that was begun before, or a new one.

    ``content_hash`` is of the file, its mapping and the options, ``file_hash`` of the file alone.
    ``origen_en_palabras`` replaces what was said before, unless it is empty.
    """
    # The same content again continues its import, so that one that was cut short can be repeated.
    tx.execute(
        "INSERT INTO imports (id, content_hash, file_hash, source, filename, at, who, options,"
        " origen_en_palabras) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (content_hash) WHERE undo_asked_at IS NULL DO UPDATE SET"
        " origen_en_palabras = coalesce(nullif(excluded.origen_en_palabras, ''),"
        " origen_en_palabras)",
        (
            new_id("imp", at),
            content_hash,
            file_hash,
            source,
            filename,
            format_timestamp(at),
            who,
            json.dumps(dict(options), ensure_ascii=False, sort_keys=True),
            origen_en_palabras,
        ),
    )
    (row,) = tx.all(
        "SELECT * FROM imports WHERE content_hash = ? AND undo_asked_at IS NULL", (content_hash,)
    )
    return _import_from_row(row)


def get_import(reader: Reader, import_id: str) -> ImportRecord | None:
    """Return one import, or None."""
    row = reader.one("SELECT * FROM imports WHERE id = ?", (import_id,))
    return None if row is None else _import_from_row(row)


def get_origin_in_words(reader: Reader, import_id: str | None) -> str:
    """Return what a person said of the origin of this import's people; empty if nothing."""
    words = reader.value("SELECT origen_en_palabras FROM imports WHERE id = ?", (import_id,))
    return words or ""


def get_origin_of_contact(reader: Reader, contact: str) -> str:
    """Return the origin of a contact's prospect, as one would say it to them; empty if unknown."""
    import_id = reader.value("SELECT import FROM prospects WHERE contact = ?", (contact,))
    return get_origin_in_words(reader, import_id)


def set_origin_in_words(tx: Tx, import_id: str, words: str) -> None:
    """Store how one would tell this import's people where their numbers are from."""
    tx.execute("UPDATE imports SET origen_en_palabras = ? WHERE id = ?", (words, import_id))


def list_imports_of_file(reader: Reader, file_hash: str, limit: int = 5) -> list[ImportRecord]:
    """Return the latest imports of a file with these bytes, newest first, of whatever name.

    Those that were undone are not among them.
    """
    rows = reader.all(
        "SELECT * FROM imports WHERE file_hash = ? AND undo_asked_at IS NULL"
        " ORDER BY id DESC LIMIT ?",
        (file_hash, limit),
    )
    return [_import_from_row(row) for row in rows]


def list_written_records(reader: Reader, import_id: str, first: int, last: int) -> set[int]:
    """Return which records of this range have their outcome, from this run or an earlier one."""
    rows = reader.all(
        f"SELECT record FROM import_records WHERE import = {IMPORT_NUMBER}"
        " AND record BETWEEN :first AND :last",
        {"import": import_id, "first": first, "last": last},
    )
    return {row["record"] for row in rows}


def insert_import_rows(tx: Tx, import_id: str, results: Sequence[ImportRowRecord]) -> None:
    """Store the outcomes of records."""
    number = tx.value(f"SELECT {IMPORT_NUMBER}", {"import": import_id})
    tx.execute_many(
        "INSERT INTO import_records (import, record, outcome, phone, prospect, reason_code,"
        " sentence) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                each.record,
                each.outcome.value,
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
        f"SELECT * FROM import_records WHERE import = {IMPORT_NUMBER}"
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
        "SELECT outcome, count(*) AS n FROM import_records"
        f" WHERE import = {IMPORT_NUMBER} GROUP BY outcome",
        {"import": import_id},
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
        row["file_hash"],
        row["source"],
        row["filename"],
        parse_timestamp(row["at"]),
        row["who"],
        json.loads(row["options"]),
        row["origen_en_palabras"],
        parse_timestamp(row["finished_at"]) if row["finished_at"] else None,
    )


class ImportSummary(Struct, frozen=True):
    """An import, and how many of its records had each outcome."""

    record: ImportRecord
    counts: dict[ImportRowOutcome, int]


def list_imports(reader: Reader, limit: int = 20) -> list[ImportSummary]:
    """Return the latest imports, newest first."""
    rows = reader.all("SELECT id FROM imports ORDER BY id DESC LIMIT ?", (limit,))
    found = (get_import(reader, row["id"]) for row in rows)
    return [ImportSummary(each, count_import_rows(reader, each.id)) for each in found if each]


def store_consent_words(tx: Tx, answers: Mapping[str, str], *, who: str, at: datetime) -> None:
    """Remember what words mean, by the folded word; a new answer replaces the old one."""
    tx.execute_many(
        "INSERT INTO consent_words (word, answer, who, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (word) DO UPDATE SET answer = excluded.answer, who = excluded.who,"
        " at = excluded.at",
        [(word, answer, who, format_timestamp(at)) for word, answer in answers.items()],
    )


def list_consent_words(reader: Reader) -> dict[str, str]:
    """Return the answers by word."""
    return {
        row["word"]: row["answer"]
        for row in reader.all("SELECT word, answer FROM consent_words ORDER BY word")
    }
