"""The tables of deliveries: frozen batches, their rows and files, and what became of each row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import asdict

from statemachines.delivery import DeliveryRowState
from storage.client_terms import (
    TERMS_COLUMNS,
    DeliveryTerms,
    terms_from_row,
    terms_to_columns,
)
from storage.column_formats import format_timestamp, parse_timestamp
from storage.ids import new_id

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


class DeliveryGround(StrEnum):
    """On what ground a person was handed to a client."""

    MAY_SHARE = "may_share"
    """They agreed that this client may write to them."""
    DECISION = "decision"
    """A person decided so, with a reason; nobody asked them."""


class DeliveryFormat(StrEnum):
    """The format of a file that a client gets."""

    XLSX = "xlsx"
    CSV = "csv"


class DeliveryFact(StrEnum):
    """What a piece of evidence of a row shows."""

    VALIDATION = "validation"
    PERMISSION = "permission"
    INTENT = "intent"
    SHARING = "sharing"


class DeliveryEvidence(Struct, frozen=True, kw_only=True):
    """What we knew of a person when they were handed over, and the quote that shows it."""

    fact: DeliveryFact
    value: str
    at: datetime | None
    quote: str
    source: str

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"DeliveryEvidence({self.fact.value})"


class NewDeliveryRow(Struct, frozen=True, kw_only=True):
    """A person to hand over, as they are frozen. ``cells`` are further columns of the file."""

    contact: str
    name: str
    phone: str
    cells: Mapping[str, str]
    evidence: Sequence[DeliveryEvidence]
    ground: DeliveryGround

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"NewDeliveryRow({self.contact!r})"


class DeliveryRow(Struct, frozen=True, kw_only=True):
    """One person of a delivery, and what became of the row.

    ``contact`` and ``prospect`` are None where they are not stored any more; once ``erased``, name,
    number, cells and evidence are empty. ``replaces`` is the number of the row that this one was
    given for.
    """

    delivery: str
    number: int
    contact: str | None
    prospect: str | None
    at: datetime
    name: str
    phone: str
    cells: Mapping[str, str]
    evidence: Sequence[DeliveryEvidence]
    ground: DeliveryGround
    dispute_until: date
    exclusive_until: date
    replaces: int | None
    state: DeliveryRowState
    erased: bool

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"DeliveryRow({self.delivery!r}, {self.number})"


class DeliveryRowMove(Struct, frozen=True, kw_only=True):
    """A change of a row: who made it, and why. ``disputed_on`` is when the client said so."""

    row: int
    at: datetime
    previous: DeliveryRowState
    state: DeliveryRowState
    who: str
    reason: str
    disputed_on: date | None
    note: str


class DeliveryFile(Struct, frozen=True, kw_only=True):
    """A file that was handed over. ``part`` is 0, or the number of the row that it replaces with.

    ``whole`` is false once somebody in it was erased: what is downloaded then has other bytes.
    """

    part: int
    format: DeliveryFormat
    hash: str
    whole: bool


class DeliveryRecord(DeliveryTerms, frozen=True, kw_only=True):
    """A frozen batch with the terms of its time; ``counts`` is how many rows are in each state."""

    id: str
    number: int
    client: str
    client_name: str
    at: datetime
    who: str
    counts: Mapping[DeliveryRowState, int]

    @property
    def rows(self) -> int:
        """Return how many rows it has, those that replace another included."""
        return sum(self.counts.values())


_SELECT_DELIVERY: Final = (
    "SELECT d.*, c.name AS client_name, (SELECT json_group_object(state, n) FROM"
    " (SELECT state, count(*) AS n FROM delivery_rows WHERE delivery = d.id GROUP BY state))"
    " AS counts FROM deliveries AS d JOIN clients AS c ON c.id = d.client"
)
_SELECT_ROW: Final = (
    "SELECT r.*, p.id AS prospect FROM delivery_rows AS r"
    " LEFT JOIN prospects AS p ON p.contact = r.contact"
)


def get_next_number(reader: Reader) -> int:
    """Return the number of the next delivery, counted from 1."""
    number: int = reader.value("SELECT coalesce(max(number), 0) + 1 FROM deliveries")
    return number


def insert_delivery(
    tx: Tx, client: str, terms: DeliveryTerms, *, number: int, at: datetime, who: str
) -> str:
    """Store a batch without rows, with the terms of this moment; return its id."""
    id_ = new_id("del", at)
    marks = ", ".join("?" for _ in range(5 + len(TERMS_COLUMNS)))
    tx.execute(
        f"INSERT INTO deliveries (id, number, client, at, who, {', '.join(TERMS_COLUMNS)})"
        f" VALUES ({marks})",
        (id_, number, client, format_timestamp(at), who, *terms_to_columns(terms)),
    )
    return id_


def insert_delivery_row(
    tx: Tx,
    delivery: str,
    number: int,
    row: NewDeliveryRow,
    *,
    at: datetime,
    dispute_until: date,
    exclusive_until: date,
    replaces: int | None = None,
) -> None:
    """Freeze a row; triggers refuse every later change but its state and an erasure."""
    tx.execute(
        "INSERT INTO delivery_rows (delivery, number, contact, at, name, phone, cells, evidence,"
        " ground, dispute_until, exclusive_until, replaces)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(delivery, number, row.contact, format_timestamp(at), row.name, row.phone),
            json.dumps(dict(row.cells), ensure_ascii=False),
            json.dumps([_evidence_to_json(each) for each in row.evidence], ensure_ascii=False),
            *(row.ground, dispute_until.isoformat(), exclusive_until.isoformat(), replaces),
        ),
    )


def insert_delivery_file(
    tx: Tx, delivery: str, *, part: int, format_: DeliveryFormat, hash_: str, content: bytes
) -> None:
    """Store the bytes of a file that is handed over, with their hash."""
    tx.execute(
        "INSERT INTO delivery_files (delivery, part, format, hash, content) VALUES (?, ?, ?, ?, ?)",
        (delivery, part, format_, hash_, content),
    )


def get_delivery(reader: Reader, id_: str) -> DeliveryRecord | None:
    """Return a batch by its id, or None."""
    row = reader.one(f"{_SELECT_DELIVERY} WHERE d.id = ?", (id_,))
    return None if row is None else _delivery_from_row(row)


def list_deliveries(
    reader: Reader, *, client: str = "", before: str = "", limit: int = 50
) -> list[DeliveryRecord]:
    """Return batches, the newest first, from before the id ``before``; of one client, if given."""
    rows = reader.all(
        f"{_SELECT_DELIVERY} WHERE (:client = '' OR d.client = :client)"
        " AND (:before = '' OR d.id < :before) ORDER BY d.id DESC LIMIT :limit",
        {"client": client, "before": before, "limit": limit},
    )
    return [_delivery_from_row(row) for row in rows]


def list_delivery_rows(reader: Reader, delivery: str) -> list[DeliveryRow]:
    """Return the rows of a batch, by their numbers."""
    rows = reader.all(f"{_SELECT_ROW} WHERE r.delivery = ? ORDER BY r.number", (delivery,))
    return [row_from_columns(row) for row in rows]


def get_delivery_row(reader: Reader, delivery: str, number: int) -> DeliveryRow | None:
    """Return one row of a batch, or None."""
    row = reader.one(f"{_SELECT_ROW} WHERE r.delivery = ? AND r.number = ?", (delivery, number))
    return None if row is None else row_from_columns(row)


def list_silent_rows(reader: Reader, today: date, limit: int) -> list[DeliveryRow]:
    """Return rows past the last day of a dispute, of clients whose silence accepts."""
    rows = reader.all(
        f"{_SELECT_ROW} JOIN deliveries AS d ON d.id = r.delivery"
        f" WHERE r.state = '{DeliveryRowState.DELIVERED}' AND r.dispute_until < ?"
        " AND d.silence_accepts = 1 ORDER BY r.delivery, r.number LIMIT ?",
        (today.isoformat(), limit),
    )
    return [row_from_columns(row) for row in rows]


def move_row(tx: Tx, delivery: str, move: DeliveryRowMove) -> None:
    """Store the new state of a row, and who changed it and why."""
    tx.execute(
        "UPDATE delivery_rows SET state = ? WHERE delivery = ? AND number = ?",
        (move.state, delivery, move.row),
    )
    tx.execute(
        "INSERT INTO delivery_row_history (delivery, row, at, previous, state, who, reason,"
        " disputed_on, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(delivery, move.row, format_timestamp(move.at), move.previous, move.state, move.who),
            *(move.reason, move.disputed_on and move.disputed_on.isoformat(), move.note),
        ),
    )


def list_row_moves(reader: Reader, delivery: str) -> list[DeliveryRowMove]:
    """Return what became of the rows of a batch, in order."""
    rows = reader.all(
        "SELECT * FROM delivery_row_history WHERE delivery = ? ORDER BY id", (delivery,)
    )
    return [
        DeliveryRowMove(
            row=row["row"],
            at=parse_timestamp(row["at"]),
            previous=DeliveryRowState(row["previous"]),
            state=DeliveryRowState(row["state"]),
            who=row["who"],
            reason=row["reason"],
            disputed_on=date.fromisoformat(row["disputed_on"]) if row["disputed_on"] else None,
            note=row["note"],
        )
        for row in rows
    ]


def list_delivery_files(reader: Reader, delivery: str) -> list[DeliveryFile]:
    """Return the files of a batch: its own, then one for each row that replaces another."""
    rows = reader.all(
        "SELECT part, format, hash, content IS NOT NULL AS whole FROM delivery_files"
        " WHERE delivery = ? ORDER BY part, format DESC",
        (delivery,),
    )
    return [
        DeliveryFile(
            part=row["part"],
            format=DeliveryFormat(row["format"]),
            hash=row["hash"],
            whole=bool(row["whole"]),
        )
        for row in rows
    ]


def read_delivery_file(
    reader: Reader, delivery: str, part: int, format_: DeliveryFormat
) -> bytes | None:
    """Return the bytes of a file that was handed over, or None once somebody in it was erased."""
    content: bytes | None = reader.value(
        "SELECT content FROM delivery_files WHERE delivery = ? AND part = ? AND format = ?",
        (delivery, part, format_),
    )
    return content


def erase_from_deliveries(tx: Tx, contact: str) -> None:
    """Blank a person in frozen rows, and drop the files that have them; states and prices stay."""
    rows = tx.all("SELECT delivery, number FROM delivery_rows WHERE contact = ?", (contact,))
    for row in rows:
        place = (row["delivery"], row["number"])
        tx.execute(
            "UPDATE delivery_rows SET contact = NULL, name = '', phone = '', cells = '{}',"
            " evidence = '[]', erased = 1 WHERE delivery = ? AND number = ?",
            place,
        )
        tx.execute(
            "UPDATE delivery_row_history SET note = '' WHERE delivery = ? AND row = ?", place
        )
        tx.execute(
            "UPDATE delivery_files SET content = NULL WHERE delivery = ? AND part ="
            " (SELECT iif(replaces IS NULL, 0, number) FROM delivery_rows"
            " WHERE delivery = ? AND number = ?)",
            (row["delivery"], *place),
        )


def _evidence_to_json(piece: DeliveryEvidence) -> dict[str, object]:
    return {**asdict(piece), "at": format_timestamp(piece.at) if piece.at else None}


def _evidence_from_json(stored: dict[str, str]) -> DeliveryEvidence:
    return DeliveryEvidence(
        fact=DeliveryFact(stored["fact"]),
        value=stored["value"],
        at=parse_timestamp(stored["at"]) if stored["at"] else None,
        quote=stored["quote"],
        source=stored["source"],
    )


def _delivery_from_row(row: sqlite3.Row) -> DeliveryRecord:
    terms = terms_from_row(row)
    counts = json.loads(row["counts"])
    return DeliveryRecord(
        **{name: getattr(terms, name) for name in TERMS_COLUMNS},
        id=row["id"],
        number=row["number"],
        client=row["client"],
        client_name=row["client_name"],
        at=parse_timestamp(row["at"]),
        who=row["who"],
        counts={DeliveryRowState(state): count for state, count in counts.items()},
    )


def row_from_columns(row: sqlite3.Row) -> DeliveryRow:
    """Return the record of a row that has every column, and the id of its prospect."""
    return DeliveryRow(
        delivery=row["delivery"],
        number=row["number"],
        contact=row["contact"],
        prospect=row["prospect"],
        at=parse_timestamp(row["at"]),
        name=row["name"],
        phone=row["phone"],
        cells=json.loads(row["cells"]),
        evidence=tuple(map(_evidence_from_json, json.loads(row["evidence"]))),
        ground=DeliveryGround(row["ground"]),
        dispute_until=date.fromisoformat(row["dispute_until"]),
        exclusive_until=date.fromisoformat(row["exclusive_until"]),
        replaces=row["replaces"],
        state=DeliveryRowState(row["state"]),
        erased=bool(row["erased"]),
    )
