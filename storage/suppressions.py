"""The `suppressions` table: the people who must not be written to, by the keyed hash of each alias.

A row is never deleted: it outlives the contact's data. The journal has a second copy.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.journal import JournalAction, JournalEntry, SuppressionJournal
from storage.tx import Parameters, Reader, Tx

# As the journal writes it; `aliases` has the bytes, because every prospect has several.
_HEX_OF_ALIAS = "lower(hex(aliases.alias_hash))"
# By contact, and by the hash of each alias: an alias learnt later may have been suppressed before.
_ACTIVE_OF_CONTACT = (
    "lifted_at IS NULL AND (contact = :contact"
    f" OR alias_hash IN (SELECT {_HEX_OF_ALIAS} FROM aliases WHERE contact = :contact))"
)


IS_CONTACT_SUPPRESSED: Final = (
    "(EXISTS (SELECT 1 FROM suppressions AS s WHERE s.contact = {contact} AND s.lifted_at IS NULL)"
    " OR EXISTS (SELECT 1 FROM contacts AS stopped WHERE stopped.id = {contact}"
    " AND stopped.stopped_reason IS NOT NULL))"
)
"""SQL for whether a contact is suppressed by its own id, or stopped, for lists; ``{contact}`` is a
column.

The gate uses `is_contact_suppressed`, which checks every alias."""


class SuppressionSource(StrEnum):
    """Who asked for a suppression. A contact's own can't be corrected away."""

    CONTACT = "contact"
    OPERATOR = "operator"
    IMPORT = "import"


CORRECTABLE_SOURCES = frozenset({SuppressionSource.OPERATOR, SuppressionSource.IMPORT})
"""Sources whose suppressions may be corrected, because the mistake can only have been ours."""


class SuppressionRecord(Struct, frozen=True):
    """One suppressed alias. ``contact`` is None where nothing but the hash is stored.

    ``alias`` is the alias itself, where the contact's data is still stored.
    """

    alias_hash: str
    contact: str | None
    source: SuppressionSource
    reason: str
    at: datetime
    lifted_at: datetime | None
    lifted_reason: str | None
    alias: str | None

    def __repr__(self) -> str:
        """Keep the number out of logs."""
        return f"SuppressionRecord({self.contact!r}, {self.source.value})"


def is_contact_suppressed(reader: Reader, contact: str) -> bool:
    """Return whether the contact, or any alias that it has by now, is suppressed or stopped.

    Who may be a minor, or may have died, is stopped as if suppressed, until a person has decided.
    """
    found = reader.value(
        f"SELECT 1 FROM suppressions WHERE {_ACTIVE_OF_CONTACT}"
        " UNION ALL SELECT 1 FROM contacts WHERE id = :contact AND stopped_reason IS NOT NULL",
        {"contact": contact},
    )
    return found is not None


def list_contact_suppressions(reader: Reader, contact: str) -> list[SuppressionRecord]:
    """Return the suppressions in force on a contact, oldest first."""
    return _select_suppressions(
        reader, f"WHERE {_ACTIVE_OF_CONTACT} ORDER BY at, alias_hash", {"contact": contact}
    )


def list_suppressions_by_hash(reader: Reader, hashes: Iterable[str]) -> list[SuppressionRecord]:
    """Return the suppressions in force on these aliases, whether a contact is known or not."""
    found = (_find_by_hash(reader, each) for each in hashes)
    return [record for record in found if record and record.lifted_at is None]


def list_suppressions(
    reader: Reader, *, after: str = "", limit: int = 500
) -> list[SuppressionRecord]:
    """Return suppressions in force, sorted by hash, past the hash ``after``."""
    return _select_suppressions(
        reader,
        "WHERE lifted_at IS NULL AND suppressions.alias_hash > ?"
        " ORDER BY suppressions.alias_hash LIMIT ?",
        (after, limit),
    )


def suppress_aliases(
    tx: Tx,
    journal: SuppressionJournal,
    hashes: Sequence[str],
    *,
    contact: str | None,
    source: SuppressionSource,
    reason: str,
    at: datetime,
) -> int:
    """Suppress these aliases; return how many of them were not suppressed before.

    A suppression in force stays as it is, but a contact's own replaces one of an operator or an
    import. Raises WriteFailed where the journal could not be written.
    """
    before = {each: _find_by_hash(tx, each) for each in hashes}
    changed = [each for each, record in before.items() if _is_overridden_by(record, source)]
    fresh = [each for each in changed if (old := before[each]) is None or old.lifted_at]
    for each in changed:
        _store_suppression(tx, each, contact=contact, source=source, reason=reason, at=at)
    # Before the commit, so that the journal never lacks an opt-out; one too many does no harm.
    if changed:
        journal.append(
            [JournalEntry(each, JournalAction.SUPPRESSED, at, source) for each in changed]
        )
    return len(fresh)


def lift_suppressions(tx: Tx, hashes: Sequence[str], *, at: datetime, reason: str) -> None:
    """Lift the suppression of these aliases; the caller writes the journal after the commit."""
    tx.execute_many(
        "UPDATE suppressions SET lifted_at = ?, lifted_reason = ?"
        " WHERE alias_hash = ? AND lifted_at IS NULL",
        [(format_timestamp(at), reason, each) for each in hashes],
    )


def restore_suppressions(tx: Tx, entries: Iterable[JournalEntry], *, reason: str) -> list[str]:
    """Restore the suppressions that the journal has and the table lacks; return their hashes."""
    # The last line of an alias counts: it may have been suppressed, lifted and suppressed again.
    last = {entry.alias_hash: entry for entry in entries}
    missing = [entry for entry in last.values() if _is_suppression_missing(tx, entry)]
    owners = find_contacts_by_alias_hashes(tx, [entry.alias_hash for entry in missing])
    for entry in missing:
        _store_suppression(
            tx,
            entry.alias_hash,
            contact=owners.get(entry.alias_hash),
            source=SuppressionSource(entry.source),
            reason=reason,
            at=entry.at,
        )
    return [entry.alias_hash for entry in missing]


def find_contacts_by_alias_hashes(reader: Reader, hashes: Sequence[str]) -> dict[str, str]:
    """Return the contact of each of these aliases that is known. It reads all aliases."""
    # Hashes alone are looked for at a restore only: an index would cost every import a third.
    if not hashes:
        return {}
    rows = reader.all(
        f"SELECT {_HEX_OF_ALIAS} AS alias_hash, contact FROM aliases"
        f" WHERE {_HEX_OF_ALIAS} IN (SELECT value FROM json_each(?))",
        (json.dumps(list(hashes)),),
    )
    return {row["alias_hash"]: row["contact"] for row in rows}


def find_suppressed_hashes(reader: Reader, hashes: Sequence[str]) -> set[str]:
    """Return those of these aliases that have a suppression, in force or lifted."""
    rows = reader.all(
        "SELECT alias_hash FROM suppressions WHERE alias_hash IN (SELECT value FROM json_each(?))",
        (json.dumps(list(hashes)),),
    )
    return {row["alias_hash"] for row in rows}


def link_suppressions(tx: Tx, contact: str, hashes: Sequence[str]) -> None:
    """Note that these aliases, which may have been suppressed before, are the contact's."""
    tx.execute_many(
        "UPDATE suppressions SET contact = ? WHERE alias_hash = ? AND contact IS NULL",
        [(contact, each) for each in hashes],
    )


def _is_suppression_missing(reader: Reader, entry: JournalEntry) -> bool:
    if entry.action is not JournalAction.SUPPRESSED:
        return False
    record = _find_by_hash(reader, entry.alias_hash)
    if record is None:
        return True
    # Not missing where it was lifted later: a crash came before the journal's line of that.
    return record.lifted_at is not None and record.lifted_at <= entry.at


def _is_overridden_by(record: SuppressionRecord | None, source: SuppressionSource) -> bool:
    """Return whether a suppression from ``source`` is to be stored over the present record."""
    if record is None or record.lifted_at:
        return True
    return source is SuppressionSource.CONTACT and record.source is not SuppressionSource.CONTACT


def _store_suppression(
    tx: Tx,
    alias_hash: str,
    *,
    contact: str | None,
    source: SuppressionSource,
    reason: str,
    at: datetime,
) -> None:
    fields = {
        "alias_hash": alias_hash,
        "contact": contact,
        "source": source,
        "reason": reason,
        "at": format_timestamp(at),
    }
    # Not an upsert: the trigger that refuses a REPLACE would refuse that as well.
    if not tx.execute(
        "UPDATE suppressions SET contact = coalesce(:contact, contact), source = :source,"
        " reason = :reason, at = :at, lifted_at = NULL, lifted_reason = NULL"
        " WHERE alias_hash = :alias_hash",
        fields,
    ).rowcount:
        tx.execute(
            "INSERT INTO suppressions (alias_hash, contact, source, reason, at)"
            " VALUES (:alias_hash, :contact, :source, :reason, :at)",
            fields,
        )


def _find_by_hash(reader: Reader, alias_hash: str) -> SuppressionRecord | None:
    found = _select_suppressions(reader, "WHERE suppressions.alias_hash = ?", (alias_hash,))
    return found[0] if found else None


def _select_suppressions(reader: Reader, where: str, params: Parameters) -> list[SuppressionRecord]:
    rows = reader.all(
        "SELECT suppressions.*, (SELECT alias FROM aliases"
        " WHERE aliases.contact = suppressions.contact"
        f" AND {_HEX_OF_ALIAS} = suppressions.alias_hash) AS alias"
        f" FROM suppressions {where}",
        params,
    )
    return [_suppression_from_row(row) for row in rows]


def _suppression_from_row(row: sqlite3.Row) -> SuppressionRecord:
    lifted_at = row["lifted_at"]
    return SuppressionRecord(
        row["alias_hash"],
        row["contact"],
        SuppressionSource(row["source"]),
        row["reason"],
        parse_timestamp(row["at"]),
        parse_timestamp(lifted_at) if lifted_at else None,
        row["lifted_reason"],
        row["alias"],
    )
