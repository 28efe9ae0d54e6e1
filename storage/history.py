"""The `history_*` tables: what a former system sent and was answered, or that there is nothing.

A line counts once, in whatever file it comes: `history_lines` has the keyed hash of each.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.tx import Reader, Tx


class HistoryKind(StrEnum):
    """What a line of the history is."""

    SENT = "sent"
    """A message to them."""
    RECEIVED = "received"
    """A message from them, whose words are read."""
    DECLINED = "declined"
    """A record that they said no."""
    OPT_OUT = "opt_out"
    """A record that they asked to be left alone."""


class HistoryImport(Struct, frozen=True):
    """An import of a former system's history; ``finished_at`` is None until its last record is in.

    ``new`` counts the lines that were not known before, by kind; ``rejected`` the records that were
    left out.
    """

    id: str
    filename: str
    at: datetime
    who: str
    finished_at: datetime | None
    records: int
    new: Mapping[HistoryKind, int]
    rejected: int

    @property
    def known(self) -> int:
        """The number of records that are lines known before."""
        return self.records - self.rejected - sum(self.new.values())


class HistoryDeclaration(Struct, frozen=True):
    """The statement of a person that there is no history to import."""

    at: datetime
    who: str
    reason: str


def begin_history_import(
    tx: Tx, *, content_hash: str, filename: str, who: str, at: datetime
) -> HistoryImport:
    """Return the import of this content: the one that was begun before, or a new one."""
    tx.execute(
        "INSERT INTO history_imports (id, content_hash, filename, at, who) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (content_hash) DO NOTHING",
        (new_id("his", at), content_hash, filename, format_timestamp(at), who),
    )
    (row,) = tx.all("SELECT * FROM history_imports WHERE content_hash = ?", (content_hash,))
    return _import_from_row(row)


def insert_history_lines(tx: Tx, import_id: str, lines: Mapping[str, HistoryKind]) -> None:
    """Store lines that are not known yet, by the keyed hash of each, and count them by kind."""
    tx.execute_many(
        "INSERT INTO history_lines (line, import) VALUES (?, ?)",
        [(line, import_id) for line in lines],
    )
    for kind, count in Counter(lines.values()).items():
        tx.execute(
            f"UPDATE history_imports SET {kind.value} = {kind.value} + ? WHERE id = ?",
            (count, import_id),
        )


def find_known_lines(reader: Reader, lines: Iterable[str]) -> set[str]:
    """Return those of these lines that are known, from whichever file."""
    rows = reader.all(
        "SELECT line FROM history_lines WHERE line IN (SELECT value FROM json_each(?))",
        (json.dumps(list(lines)),),
    )
    return {row["line"] for row in rows}


def finish_history_import(
    tx: Tx, import_id: str, *, records: int, rejected: int, at: datetime
) -> HistoryImport:
    """Mark an import as finished, and return it."""
    tx.execute(
        "UPDATE history_imports SET finished_at = ?, records = ?, rejected = ? WHERE id = ?",
        (format_timestamp(at), records, rejected, import_id),
    )
    (row,) = tx.all("SELECT * FROM history_imports WHERE id = ?", (import_id,))
    return _import_from_row(row)


def list_history_imports(reader: Reader, limit: int = 20) -> list[HistoryImport]:
    """Return the latest imports, newest first."""
    rows = reader.all("SELECT * FROM history_imports ORDER BY id DESC LIMIT ?", (limit,))
    return [_import_from_row(row) for row in rows]


def insert_history_declaration(tx: Tx, declaration: HistoryDeclaration) -> None:
    """Store that a person says that there is no history."""
    tx.execute(
        "INSERT INTO history_declarations (at, who, reason) VALUES (?, ?, ?)",
        (format_timestamp(declaration.at), declaration.who, declaration.reason),
    )


def get_latest_declaration(reader: Reader) -> HistoryDeclaration | None:
    """Return the latest statement that there is no history, or None."""
    row = reader.one("SELECT * FROM history_declarations ORDER BY id DESC LIMIT 1")
    if row is None:
        return None
    return HistoryDeclaration(parse_timestamp(row["at"]), row["who"], row["reason"])


def is_history_settled(reader: Reader) -> bool:
    """Return whether a history was imported to its end, or a person said that there is none.

    An import that was cut short later than that has to be finished first.
    """
    settled_at = reader.value(
        "SELECT max(at) FROM (SELECT finished_at AS at FROM history_imports"
        " UNION ALL SELECT at FROM history_declarations)"
    )
    begun_at = reader.value("SELECT max(at) FROM history_imports WHERE finished_at IS NULL")
    return settled_at is not None and (begun_at is None or begun_at <= settled_at)


def find_unsettled_since(reader: Reader) -> datetime | None:
    """Return since when nothing is known of the past: the first start; None once it is settled."""
    if is_history_settled(reader):
        return None
    return parse_timestamp(reader.value("SELECT min(at) FROM epochs"))


def _import_from_row(row: sqlite3.Row) -> HistoryImport:
    return HistoryImport(
        row["id"],
        row["filename"],
        parse_timestamp(row["at"]),
        row["who"],
        parse_timestamp(row["finished_at"]) if row["finished_at"] else None,
        row["records"],
        {kind: row[kind.value] for kind in HistoryKind},
        row["rejected"],
    )
