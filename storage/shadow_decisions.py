"""The `shadow_decisions` table: what a shadow ruleset would have decided. It is never acted on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from storage.column_formats import encode_json, format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx


class ShadowDisagreement(Struct, frozen=True):
    """One decision on which the shadow ruleset's verdict differs from the live one."""

    decision: str
    message: str
    prospect: str | None
    at: datetime
    live: str
    shadow: str
    sentence: str


class ShadowStatistics(Struct, frozen=True):
    """How many decisions a shadow ruleset judged, and on how many its verdict differed."""

    asked: int
    differed: int
    flips: Mapping[str, int]
    """How often, by the pair of verdicts written as `live → shadow`."""


def insert_shadow_decision(
    tx: Tx,
    *,
    decision: str,
    at: datetime,
    ruleset: str,
    verdict: str,
    live: str,
    document: Mapping[str, object],
) -> None:
    """Store the shadow's verdict on a decision, in the transaction that stores the decision."""
    tx.execute(
        "INSERT INTO shadow_decisions (decision, at, ruleset, verdict, live, document)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (decision, format_timestamp(at), ruleset, verdict, live, encode_json(document)),
    )


def get_shadow_statistics(reader: Reader, ruleset: str) -> ShadowStatistics:
    """Return the counts of one shadow ruleset."""
    rows = reader.all(
        "SELECT live, verdict, count(*) AS n FROM shadow_decisions WHERE ruleset = ?"
        " GROUP BY live, verdict ORDER BY n DESC",
        (ruleset,),
    )
    flips = {f"{r['live']} → {r['verdict']}": r["n"] for r in rows if r["live"] != r["verdict"]}
    return ShadowStatistics(sum(row["n"] for row in rows), sum(flips.values()), flips)


def list_shadow_disagreements(reader: Reader, ruleset: str, limit: int) -> list[ShadowDisagreement]:
    """Return the newest decisions on which the shadow's verdict differs."""
    # `(verdict = live) = 0`, word for word as the index has it; `<>` would not use it.
    rows = reader.all(
        "SELECT s.*, d.message, p.id AS prospect FROM shadow_decisions AS s"
        " JOIN decisions AS d ON d.id = s.decision JOIN messages AS m ON m.id = d.message"
        " LEFT JOIN prospects AS p ON p.contact = m.contact"
        " WHERE s.ruleset = ? AND (s.verdict = s.live) = 0 ORDER BY s.at DESC LIMIT ?",
        (ruleset, limit),
    )
    return [
        ShadowDisagreement(
            decision=row["decision"],
            message=row["message"],
            prospect=row["prospect"],
            at=parse_timestamp(row["at"]),
            live=row["live"],
            shadow=row["verdict"],
            sentence=json.loads(row["document"])["sentence"],
        )
        for row in rows
    ]
