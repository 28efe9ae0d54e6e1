"""The append-only `evidence` table: dated evidence about a contact.

Permission, reachability and intent are derived from it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx

if TYPE_CHECKING:
    import sqlite3


class EvidenceKind(StrEnum):
    """The kind of a piece of evidence. The values of each kind are in brackets."""

    PERMISSION = "permission"
    """[opted_in, relationship, public_source, none]: on what ground we may write; ``source`` has
    the reason."""
    DECLINED = "declined"
    """[refused]: they declined, in words that are not an opt-out."""
    CONSENT = "consent"
    """[call, form, in_person, paper]: how they agreed; a person recorded it afterwards."""
    WITHDRAWN = "withdrawn"
    """[the id of a piece]: that piece was wrong, and counts no more."""
    GIVEN_AS_WHATSAPP = "given_as_whatsapp"
    """[given]: they gave the number as their WhatsApp; the quote says where and how."""
    INBOUND = "inbound"
    """[the request]: they wrote to us."""
    OWN_MESSAGE = "own_message"
    """[sent]: a message to them was typed on the phone itself, or sent by a former system."""
    MAY_SHARE = "may_share"
    """[the id of a client]: they agreed that this client may write to them."""
    MAY_NOT_SHARE = "may_not_share"
    """[the id of a client]: they said that this client may not."""
    DATA_ASKED = "data_asked"
    """[asked]: they asked to see what is stored of them; a person noted it."""
    DATA_GIVEN = "data_given"
    """[given]: they got it."""
    PUSH_NAME = "push_name"
    """[given]: the name that they chose on WhatsApp, which ``quote`` holds; of prospects only."""
    ON_WHATSAPP = "on_whatsapp"
    """[yes, no, unknown]: by a number check, an inbound or an operator's decision."""
    VALIDATION = "validation"
    """[validated, not_reachable, expired]: technical validation."""
    BOUNCE = "bounce"
    """[check_turned_no, not_on_whatsapp, undeliverable, undelivered_72h]: a sign that messages do
    not arrive."""
    CLASSIFICATION = "classification"
    """[a meaning]: a person read what they wrote, and said what it means."""
    COMPLAINT = "complaint"
    """[hostile_refusal, refused_marketing, block_signal]: a sign that messages are unwanted."""
    INTENT = "intent"
    """[none, weak, clear, asked]: interest read from a message, which ``quote`` holds."""


class Evidence(Struct, frozen=True):
    """One dated piece of evidence; ``id`` is 0 where it is not stored.

    ``inbound`` is the message of the contact that it was read from, if it was. ``imported``: the
    history of a former system says so, which opens no conversation.
    """

    kind: EvidenceKind
    value: str
    at: datetime
    source: str
    quote: str
    id: int = 0
    inbound: str | None = None
    imported: bool = False


def insert_evidence(
    tx: Tx,
    contact: str,
    kind: EvidenceKind,
    value: str,
    *,
    at: datetime,
    source: str,
    quote: str = "",
    inbound: str | None = None,
    imported: bool = False,
) -> int:
    """Append one piece of evidence and return its id.

    ``source`` says in a few words where it comes from; ``inbound`` is the id of the message that it
    was read from; ``imported``: the history of a former system says so.
    """
    cursor = tx.execute(
        "INSERT INTO evidence (contact, at, kind, value, source, quote, inbound, imported)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (contact, format_timestamp(at), kind, value, source, quote, inbound, imported),
    )
    return int(cursor.lastrowid or 0)


def insert_evidence_pieces(tx: Tx, pieces: Sequence[tuple[str, Evidence]]) -> None:
    """Append pieces, each with its contact, in this order; their ids are given by the table."""
    tx.execute_many(
        "INSERT INTO evidence (contact, at, kind, value, source, quote, inbound, imported)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                contact,
                format_timestamp(each.at),
                each.kind.value,
                each.value,
                each.source,
                each.quote,
                each.inbound,
                each.imported,
            )
            for contact, each in pieces
        ],
    )


def withdraw_evidence(
    tx: Tx, contact: str, piece: Evidence, *, at: datetime, source: str, quote: str = ""
) -> None:
    """Append the withdrawal of a wrong piece, which :func:`drop_withdrawn` leaves out then."""
    # Append-only: what was decided on the wrong piece has to stay explainable.
    kind = EvidenceKind.WITHDRAWN
    insert_evidence(tx, contact, kind, str(piece.id), at=at, source=source, quote=quote)


def drop_withdrawn(pieces: Sequence[Evidence]) -> list[Evidence]:
    """Return the pieces that were not withdrawn, in the order given."""
    withdrawn = {each.value for each in pieces if each.kind is EvidenceKind.WITHDRAWN}
    return [each for each in pieces if str(each.id) not in withdrawn]


def get_latest_evidence_time(
    reader: Reader,
    contact: str,
    kind: EvidenceKind,
    value: str | None = None,
    *,
    imported: bool | None = None,
) -> datetime | None:
    """Return the latest date of a kind of evidence, or None.

    With ``value``, of this value only; with ``imported``, of a former system's history or not.
    """
    text = reader.value(
        "SELECT max(at) FROM evidence WHERE contact = :contact AND kind = :kind"
        " AND (:value IS NULL OR value = :value)"
        " AND (:imported IS NULL OR imported = :imported)",
        {"contact": contact, "kind": kind, "value": value, "imported": imported},
    )
    return parse_timestamp(text) if text else None


def get_latest_quote(reader: Reader, contact: str, kind: EvidenceKind) -> str:
    """Return the words of the latest evidence of a kind; empty where there is none."""
    return str(
        reader.value(
            "SELECT quote FROM evidence WHERE contact = ? AND kind = ?"
            " ORDER BY at DESC, id DESC LIMIT 1",
            (contact, kind),
        )
        or ""
    )


def list_contact_evidence(reader: Reader, contact: str) -> list[Evidence]:
    """Return all evidence about a contact, newest first."""
    rows = reader.all(
        "SELECT id, kind, value, at, source, quote, inbound, imported FROM evidence"
        " WHERE contact = ? ORDER BY at DESC, id DESC",
        (contact,),
    )
    return [_evidence_from_row(row) for row in rows]


def list_evidence_of_contacts(reader: Reader, contacts: Sequence[str]) -> dict[str, list[Evidence]]:
    """Return all evidence about each of these contacts, newest first."""
    found: dict[str, list[Evidence]] = {each: [] for each in contacts}
    rows = reader.all(
        "SELECT contact, id, kind, value, at, source, quote, inbound, imported FROM evidence"
        " WHERE contact IN (SELECT value FROM json_each(?)) ORDER BY at DESC, id DESC",
        (json.dumps(list(found)),),
    )
    for row in rows:
        found[row["contact"]].append(_evidence_from_row(row))
    return found


def get_evidence(reader: Reader, id_: int) -> Evidence | None:
    """Return one piece by its id, or None."""
    row = reader.one(
        "SELECT id, kind, value, at, source, quote, inbound, imported FROM evidence WHERE id = ?",
        (id_,),
    )
    return None if row is None else _evidence_from_row(row)


def _evidence_from_row(row: sqlite3.Row) -> Evidence:
    return Evidence(
        EvidenceKind(row["kind"]),
        row["value"],
        parse_timestamp(row["at"]),
        row["source"],
        row["quote"],
        row["id"],
        row["inbound"],
        bool(row["imported"]),
    )
