"""The `saved_filters` table: filters of prospects that people keep under a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import encode_json, format_timestamp, parse_timestamp
from storage.connections import fold_text
from storage.ids import new_id
from storage.tx import Reader, Tx

if TYPE_CHECKING:
    import sqlite3


class SavedFilterRecord(Struct, frozen=True):
    """A filter under its name; ``filter`` has the fields that are set."""

    id: str
    name: str
    filter: Mapping[str, str]
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str

    def __repr__(self) -> str:
        """Keep what is searched for, such as a name, out of logs."""
        return f"SavedFilterRecord({self.id!r})"


def insert_saved_filter(
    tx: Tx, name: str, filter_: Mapping[str, str], *, at: datetime, who: str
) -> str | None:
    """Store a filter and return its id; None where the name is taken, however it is written."""
    id_, now = new_id("flt", at), format_timestamp(at)
    done = tx.execute(
        "INSERT INTO saved_filters (id, name, folded_name, filter, created_at, created_by,"
        " changed_at, changed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (folded_name) DO NOTHING",
        (id_, name, fold_text(name), encode_json(filter_), now, who, now, who),
    )
    return id_ if done.rowcount else None


def update_saved_filter(
    tx: Tx, id_: str, name: str, filter_: Mapping[str, str], *, at: datetime, who: str
) -> bool:
    """Store the name and the fields of a filter; return False where another one has the name."""
    done = tx.execute(
        "UPDATE OR IGNORE saved_filters SET name = ?, folded_name = ?, filter = ?, changed_at = ?,"
        " changed_by = ? WHERE id = ?",
        (name, fold_text(name), encode_json(filter_), format_timestamp(at), who, id_),
    )
    return bool(done.rowcount)


def delete_saved_filter(tx: Tx, id_: str) -> None:
    """Delete a filter."""
    tx.execute("DELETE FROM saved_filters WHERE id = ?", (id_,))


def find_saved_filter(reader: Reader, id_or_name: str) -> SavedFilterRecord | None:
    """Return a filter by its id, or by its name in whatever case and accents; None without one."""
    row = reader.one(
        "SELECT * FROM saved_filters WHERE id = :given OR folded_name = :folded"
        " ORDER BY id = :given DESC LIMIT 1",
        {"given": id_or_name, "folded": fold_text(id_or_name)},
    )
    return None if row is None else _filter_from_row(row)


def list_saved_filters(reader: Reader) -> list[SavedFilterRecord]:
    """Return every filter, by name."""
    rows = reader.all("SELECT * FROM saved_filters ORDER BY folded_name")
    return [_filter_from_row(row) for row in rows]


def count_saved_filters(reader: Reader) -> int:
    """Return how many filters there are."""
    n: int = reader.value("SELECT count(*) FROM saved_filters")
    return n


def _filter_from_row(row: sqlite3.Row) -> SavedFilterRecord:
    return SavedFilterRecord(
        id=row["id"],
        name=row["name"],
        filter=json.loads(row["filter"]),
        created_at=parse_timestamp(row["created_at"]),
        created_by=row["created_by"],
        changed_at=parse_timestamp(row["changed_at"]),
        changed_by=row["changed_by"],
    )
