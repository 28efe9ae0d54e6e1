"""The `rulesets` and `ruleset_history` tables: every ruleset that was live, and when."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from storage.tx import Reader, Tx


class RulesetActivationKind(StrEnum):
    """How a ruleset became the live one."""

    LOADED = "loaded"
    ACCEPTED = "accepted"
    ROLLED_BACK = "rolled_back"


class RulesetFile(Struct, frozen=True):
    """One file of a ruleset. `own`: an operator's file, which is applied over the shipped ones."""

    path: str
    text: str
    own: bool


class RulesetRecord(Struct, frozen=True):
    """A ruleset with its files, as it was when it first went live."""

    hash: str
    format: str
    files: tuple[RulesetFile, ...]
    loaded_at: datetime
    loaded_by: str


class RulesetActivationRecord(Struct, frozen=True):
    """One change of the live ruleset of a format; `previous` is None for the first."""

    at: datetime
    format: str
    hash: str
    previous: str | None
    how: RulesetActivationKind
    who: str
    reason: str


def insert_ruleset(
    tx: Tx, *, hash_: str, format_: str, files: Sequence[RulesetFile], at: datetime, who: str
) -> bool:
    """Store a ruleset under its hash; return False where it was known already."""
    # The texts too, so that a rollback needs no file of the time.
    plain = [[file.path, file.text, file.own] for file in files]
    return bool(
        tx.execute(
            "INSERT OR IGNORE INTO rulesets (hash, format, files, loaded_at, loaded_by)"
            " VALUES (?, ?, ?, ?, ?)",
            (hash_, format_, json.dumps(plain, ensure_ascii=False), format_timestamp(at), who),
        ).rowcount
    )


def find_rulesets(reader: Reader, hash_: str, limit: int = 2) -> list[RulesetRecord]:
    """Return the rulesets whose hash begins with this prefix, `limit` at most."""
    # Two are enough by default: the caller only needs to know whether a prefix is unique.
    rows = reader.all(
        "SELECT * FROM rulesets WHERE substr(hash, 1, ?) = ? ORDER BY hash LIMIT ?",
        (len(hash_), hash_, limit),
    )
    return [_ruleset_from_row(row) for row in rows]


def insert_activation(
    tx: Tx,
    *,
    at: datetime,
    format_: str,
    hash_: str,
    how: RulesetActivationKind,
    who: str,
    reason: str = "",
) -> bool:
    """Record that a ruleset is live now; return False where it was live already."""
    last = get_latest_activation(tx, format_)
    if last is not None and last.hash == hash_:
        return False
    tx.execute(
        "INSERT INTO ruleset_history (at, format, hash, previous, how, who, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            format_timestamp(at),
            format_,
            hash_,
            None if last is None else last.hash,
            how,
            who,
            reason,
        ),
    )
    return True


def get_latest_activation(reader: Reader, format_: str) -> RulesetActivationRecord | None:
    """Return the last change of a format's live ruleset, None before the first."""
    row = reader.one(
        "SELECT * FROM ruleset_history WHERE format = ? ORDER BY id DESC LIMIT 1", (format_,)
    )
    return None if row is None else _activation_from_row(row)


def get_live_hash(reader: Reader, format_: str) -> str | None:
    """Return the hash of a format's live ruleset, None before the first."""
    last = get_latest_activation(reader, format_)
    return None if last is None else last.hash


def list_activations(reader: Reader, limit: int) -> list[RulesetActivationRecord]:
    """Return the changes of the live rulesets of all formats, newest first."""
    rows = reader.all("SELECT * FROM ruleset_history ORDER BY id DESC LIMIT ?", (limit,))
    return [_activation_from_row(row) for row in rows]


def _ruleset_from_row(row: sqlite3.Row) -> RulesetRecord:
    return RulesetRecord(
        hash=row["hash"],
        format=row["format"],
        files=_parse_files(row["files"]),
        loaded_at=parse_timestamp(row["loaded_at"]),
        loaded_by=row["loaded_by"],
    )


def _parse_files(text: str) -> tuple[RulesetFile, ...]:
    return tuple(RulesetFile(path, each, own) for path, each, own in json.loads(text))


def _activation_from_row(row: sqlite3.Row) -> RulesetActivationRecord:
    return RulesetActivationRecord(
        at=parse_timestamp(row["at"]),
        format=row["format"],
        hash=row["hash"],
        previous=row["previous"],
        how=RulesetActivationKind(row["how"]),
        who=row["who"],
        reason=row["reason"],
    )
