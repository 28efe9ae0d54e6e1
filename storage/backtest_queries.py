"""Reads past decisions in batches for a backtest, and what happened after each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from storage.column_formats import format_timestamp
from storage.connections import connect_for_reading
from storage.evidence import EvidenceKind
from storage.tx import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence


_MESSAGE_COLUMNS_AND_JOIN = (
    "m.text, d.at, d.recipient, s.time_zone",
    "JOIN messages AS m ON m.id = d.message LEFT JOIN sessions AS s ON s.name = m.session",
)
# So many rows fit a processor's cache. With ten times as many, each step over a column would read
# main memory again.
_BATCH_SIZE = 200


class DecisionBatch(NamedTuple):
    """Decisions, or the faults stored in their place, column by column; all columns are as long.

    Documents and facts are JSON. The last four columns are None unless messages were asked for.
    """

    rows: tuple[int, ...]
    ids: tuple[str, ...]
    verdicts: tuple[str, ...]
    documents: tuple[bytes, ...]
    facts: tuple[bytes, ...]
    texts: tuple[str | None, ...]
    """Empty where the text was blanked by retention."""
    times: tuple[str | None, ...]
    recipients: tuple[str | None, ...]
    zones: tuple[str | None, ...]
    """The time zone of the session."""


class DecisionAftermath(Struct, frozen=True):
    """The recipient of a decision, and what happened after it."""

    decision: str
    message: str
    state: str
    prospect: str | None
    name: str
    phone: str
    answered: bool
    complained: bool
    bounced: bool


@contextlib.contextmanager
def open_snapshot(path: Path) -> Iterator[Reader]:
    """Yield a reader of one consistent state of a database that another process may be writing."""
    with contextlib.closing(connect_for_reading(path)) as connection:
        # One transaction for all reads: a decision made meanwhile must not appear half-way.
        connection.execute("BEGIN")
        yield Reader(connection)


def count_decisions(reader: Reader, since: datetime) -> int:
    """Return how many decisions and gate faults were stored since then."""
    return int(
        reader.value("SELECT count(*) FROM decisions WHERE at >= ?", (format_timestamp(since),))
    )


def iterate_decision_batches(
    reader: Reader, since: datetime, *, messages: bool
) -> Iterator[DecisionBatch]:
    """Yield batches of decisions, oldest first; with the columns of their messages if asked for."""
    # Without messages the query reads one table alone.
    about, join = _MESSAGE_COLUMNS_AND_JOIN if messages else ("NULL, NULL, NULL, NULL", "")
    after = 0
    # CAST AS BLOB: the JSON parser reads bytes; text would be decoded first, and encoded again.
    while rows := reader.all(
        "SELECT d.rowid, d.id, d.verdict, CAST(d.document AS BLOB), CAST(d.facts AS BLOB),"
        f" {about} FROM decisions AS d {join}"
        f" WHERE d.rowid > ? AND d.at >= ? ORDER BY d.rowid LIMIT {_BATCH_SIZE}",
        (after, format_timestamp(since)),
    ):
        page = DecisionBatch(*zip(*rows, strict=True))
        yield page
        after = page.rows[-1]


def list_decision_aftermaths(reader: Reader, decisions: Sequence[str]) -> list[DecisionAftermath]:
    """Return what happened after each of these decisions, in no particular order."""
    marks = ", ".join("?" for _ in decisions)
    seen = "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = m.contact AND e.at > d.at"
    rows = reader.all(
        "SELECT d.id, d.message, m.state, p.id AS prospect, coalesce(p.name, '') AS name,"
        f" m.recipient, {seen} AND e.kind = '{EvidenceKind.INBOUND}') AS answered,"
        f" {seen} AND e.kind = '{EvidenceKind.COMPLAINT}') AS complained,"
        f" {seen} AND e.kind = '{EvidenceKind.BOUNCE}') AS bounced"
        " FROM decisions AS d JOIN messages AS m ON m.id = d.message"
        f" LEFT JOIN prospects AS p ON p.contact = m.contact WHERE d.id IN ({marks})",
        tuple(decisions),
    )
    return [
        DecisionAftermath(
            decision=row["id"],
            message=row["message"],
            state=row["state"],
            prospect=row["prospect"],
            name=row["name"],
            phone=row["recipient"],
            answered=bool(row["answered"]),
            complained=bool(row["complained"]),
            bounced=bool(row["bounced"]),
        )
        for row in rows
    ]
