"""The tables `texts` and `text_versions`: templates of messages, their versions and approvals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from storage.column_formats import encode_json, format_timestamp, parse_timestamp
from storage.connections import fold_text
from storage.ids import new_id

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


class TextPurpose(StrEnum):
    """What a text is for; it is approved for this alone."""

    FIRST_CONTACT = "first_contact"
    FOLLOW_UP = "follow_up"
    ANSWER = "answer"
    ORIGIN_ANSWER = "origin_answer"


_MAX_VERSION_DIGITS: Final = 9


class TextVersion(Struct, frozen=True, kw_only=True):
    """One version of a text; nothing of it changes but its approval.

    ``footer`` ends a first contact. ``fallbacks`` has, by variable, what is
    written where a person has no value; without an entry that person is left out.
    """

    version: int
    body: str
    footer: str
    fallbacks: Mapping[str, str]
    at: datetime
    who: str
    approved_at: datetime | None
    approved_by: str | None

    @property
    def template(self) -> str:
        """Return the whole text with its variables, as it is filled in."""
        return _join_template(self.body, self.footer)


class TextRecord(Struct, frozen=True, kw_only=True):
    """A text with all its versions, the newest first; no two have one name."""

    id: str
    name: str
    purpose: TextPurpose
    language: str
    created_at: datetime
    created_by: str
    versions: tuple[TextVersion, ...]


class NewTextVersion(Struct, frozen=True, kw_only=True):
    """What a person wrote of a version."""

    body: str
    footer: str
    fallbacks: Mapping[str, str]

    @property
    def template(self) -> str:
        """Return the whole text with its variables, as it is filled in."""
        return _join_template(self.body, self.footer)


def _join_template(body: str, footer: str) -> str:
    return f"{body}\n\n{footer}" if footer else body


def format_text_reference(text: str, version: int) -> str:
    """Return how a message names the version of a text that it is made with: ``txt_1@3``."""
    return f"{text}@{version}"


def insert_text(
    tx: Tx, name: str, purpose: TextPurpose, language: str, *, at: datetime, who: str
) -> str | None:
    """Store a text without a version and return its id; None where there is one of this name."""
    id_ = new_id("txt", at)
    done = tx.execute(
        "INSERT INTO texts (id, name, folded_name, purpose, language, created_at, created_by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (folded_name) DO NOTHING",
        (id_, name, fold_text(name), purpose, language, format_timestamp(at), who),
    )
    return id_ if done.rowcount else None


def insert_text_version(tx: Tx, text: str, new: NewTextVersion, *, at: datetime, who: str) -> int:
    """Append a version to a text and return its number, counted from 1."""
    version: int = tx.value(
        "SELECT coalesce(max(version), 0) + 1 FROM text_versions WHERE text = ?", (text,)
    )
    tx.execute(
        "INSERT INTO text_versions (text, version, body, footer, fallbacks, at, who)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(text, version, new.body, new.footer),
            *(encode_json(dict(new.fallbacks)), format_timestamp(at), who),
        ),
    )
    return version


def approve_text_version(tx: Tx, text: str, version: int, *, at: datetime, who: str) -> bool:
    """Store who approved a version; False where somebody has already."""
    done = tx.execute(
        "UPDATE text_versions SET approved_at = ?, approved_by = ?"
        " WHERE text = ? AND version = ? AND approved_at IS NULL",
        (format_timestamp(at), who, text, version),
    )
    return bool(done.rowcount)


def get_text(reader: Reader, id_: str) -> TextRecord | None:
    """Return a text by its id, or None."""
    row = reader.one("SELECT * FROM texts WHERE id = ?", (id_,))
    return None if row is None else _text_from_row(reader, row)


def list_texts(reader: Reader, *, after: str = "", limit: int = 200) -> list[TextRecord]:
    """Return texts past the id ``after``, in the order in which they were made."""
    rows = reader.all("SELECT * FROM texts WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [_text_from_row(reader, row) for row in rows]


def list_newest_approved(reader: Reader) -> list[TextRecord]:
    """Return the texts of which a version is approved, each with the newest such version alone."""
    rows = reader.all(
        "SELECT t.* FROM texts AS t WHERE EXISTS (SELECT 1 FROM text_versions AS v"
        " WHERE v.text = t.id AND v.approved_at IS NOT NULL) ORDER BY t.folded_name"
    )
    found = [_text_from_row(reader, row) for row in rows]
    return [
        replace(each, versions=tuple(v for v in each.versions if v.approved_at)[:1])
        for each in found
    ]


class ApprovedText(Struct, frozen=True):
    """A version that a person approved: its whole text with variables, and its purpose."""

    template: str
    purpose: TextPurpose


def find_approved_text(reader: Reader, reference: str | None) -> ApprovedText | None:
    """Return what a message's reference names, if it was approved; None otherwise."""
    text, _, version = (reference or "").rpartition("@")
    if not version.isascii() or not version.isdecimal() or len(version) > _MAX_VERSION_DIGITS:
        return None
    row = reader.one(
        "SELECT v.*, t.purpose FROM text_versions AS v JOIN texts AS t ON t.id = v.text"
        " WHERE v.text = ? AND v.version = ? AND v.approved_at IS NOT NULL",
        (text, int(version)),
    )
    if row is None:
        return None
    return ApprovedText(_version_from_row(row).template, TextPurpose(row["purpose"]))


def _text_from_row(reader: Reader, row: sqlite3.Row) -> TextRecord:
    versions = reader.all(
        "SELECT * FROM text_versions WHERE text = ? ORDER BY version DESC", (row["id"],)
    )
    return TextRecord(
        id=row["id"],
        name=row["name"],
        purpose=TextPurpose(row["purpose"]),
        language=row["language"],
        created_at=parse_timestamp(row["created_at"]),
        created_by=row["created_by"],
        versions=tuple(map(_version_from_row, versions)),
    )


def _version_from_row(row: sqlite3.Row) -> TextVersion:
    return TextVersion(
        version=row["version"],
        body=row["body"],
        footer=row["footer"],
        fallbacks=json.loads(row["fallbacks"]),
        at=parse_timestamp(row["at"]),
        who=row["who"],
        approved_at=parse_timestamp(row["approved_at"]) if row["approved_at"] else None,
        approved_by=row["approved_by"],
    )
