"""The `do_not_call_*` tables: official registers of numbers that want no commercial calls.

The newest finished register of a country is in force. Its numbers are hashes, with the key of the
suppression journal: nobody can read the register out of a copy of the database.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id
from storage.tx import Reader, Tx

LINE_BYTES: Final = 16
"""Bytes of a hash that are stored: enough to tell lines apart, in half of the space."""
_IN_FORCE: Final = "SELECT id FROM do_not_call_registers WHERE in_force = 1"


class DoNotCallRegister(Struct, frozen=True):
    """A register: of which country, how it was on which day, and how many numbers it has."""

    id: str
    country: str
    dated: date
    filename: str
    imported_at: datetime
    who: str
    numbers: int
    finished_at: datetime | None
    in_force: bool


def begin_register(
    tx: Tx, *, country: str, dated: date, filename: str, who: str, at: datetime
) -> str:
    """Store a register without numbers, which is not in force yet; return its id."""
    register = new_id("dnc", at)
    tx.execute(
        "INSERT INTO do_not_call_registers (id, country, dated, filename, imported_at, who)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (register, country, dated.isoformat(), filename, format_timestamp(at), who),
    )
    return register


def insert_register_numbers(tx: Tx, register: str, hashes: Sequence[str]) -> None:
    """Add lines by the hash of the first spelling of each; one that is there is left alone."""
    added = tx.execute_many(
        "INSERT INTO do_not_call_numbers (line, register) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(bytes.fromhex(each)[:LINE_BYTES], register) for each in hashes],
    )
    # Counted as they come: a register has millions, and an opt-out must not wait for a count.
    tx.execute(
        "UPDATE do_not_call_registers SET numbers = numbers + ? WHERE id = ?",
        (max(added, 0), register),
    )


def finish_register(tx: Tx, register: str, at: datetime) -> DoNotCallRegister:
    """Put a register in force, if no newer one of its country is; return it."""
    tx.execute(
        "UPDATE do_not_call_registers SET finished_at = ? WHERE id = ?",
        (format_timestamp(at), register),
    )
    found = _require_register(tx, register)
    current = get_register_in_force(tx, found.country)
    if current is None or current.dated <= found.dated:
        tx.execute(
            "UPDATE do_not_call_registers SET in_force = 0 WHERE country = ?", (found.country,)
        )
        tx.execute("UPDATE do_not_call_registers SET in_force = 1 WHERE id = ?", (register,))
    return _require_register(tx, register)


def delete_superseded_numbers(tx: Tx, limit: int, *, keep: str = "") -> int:
    """Delete numbers of registers that are not in force; return how many.

    ``keep`` is the register that is being read. All others without an end were cut short.
    """
    return tx.execute(
        "DELETE FROM do_not_call_numbers WHERE (register, line) IN (SELECT register, line"
        " FROM do_not_call_numbers WHERE register IN (SELECT id FROM do_not_call_registers"
        " WHERE in_force = 0 AND id <> ?) LIMIT ?)",
        (keep, limit),
    ).rowcount


def list_in_register(reader: Reader, contacts: Collection[str]) -> set[str]:
    """Return those of these contacts that have a number on a register in force."""
    rows = reader.all(
        "SELECT DISTINCT a.contact FROM aliases AS a JOIN do_not_call_numbers AS n"
        f" ON n.line = substr(a.alias_hash, 1, {LINE_BYTES})"
        " WHERE a.contact IN (SELECT value FROM json_each(?))"
        f" AND n.register IN ({_IN_FORCE})",
        (json.dumps(list(contacts)),),
    )
    return {row["contact"] for row in rows}


def is_in_register(reader: Reader, contact: str) -> bool:
    """Return whether a number of the contact is on a register that is in force."""
    found = reader.value(
        "SELECT 1 FROM aliases AS a JOIN do_not_call_numbers AS n"
        f" ON n.line = substr(a.alias_hash, 1, {LINE_BYTES})"
        f" WHERE a.contact = ? AND n.register IN ({_IN_FORCE})",
        (contact,),
    )
    return found is not None


def get_register_in_force(reader: Reader, country: str) -> DoNotCallRegister | None:
    """Return the newest finished register of a country, or None."""
    row = reader.one(
        "SELECT * FROM do_not_call_registers WHERE in_force = 1 AND country = ?",
        (country,),
    )
    return None if row is None else _register_from_row(row)


def list_registers_in_force(reader: Reader) -> list[DoNotCallRegister]:
    """Return the newest finished register of each country, by country."""
    rows = reader.all("SELECT * FROM do_not_call_registers WHERE in_force = 1 ORDER BY country")
    return [_register_from_row(row) for row in rows]


def list_registers(reader: Reader, limit: int = 20) -> list[DoNotCallRegister]:
    """Return the latest registers, newest first, those that are being read included."""
    rows = reader.all("SELECT * FROM do_not_call_registers ORDER BY id DESC LIMIT ?", (limit,))
    return [_register_from_row(row) for row in rows]


def _register_from_row(row: sqlite3.Row) -> DoNotCallRegister:
    return DoNotCallRegister(
        row["id"],
        row["country"],
        date.fromisoformat(row["dated"]),
        row["filename"],
        parse_timestamp(row["imported_at"]),
        row["who"],
        row["numbers"],
        parse_timestamp(row["finished_at"]) if row["finished_at"] else None,
        bool(row["in_force"]),
    )


def _require_register(reader: Reader, register: str) -> DoNotCallRegister:
    row = reader.one("SELECT * FROM do_not_call_registers WHERE id = ?", (register,))
    if row is None:
        raise KeyError(register)
    return _register_from_row(row)
