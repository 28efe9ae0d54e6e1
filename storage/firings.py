"""How often each rule fired, from the decisions and scores that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from storage.times import format_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader


@dataclass(frozen=True, slots=True)
class RuleFirings:
    """How many messages a rule of the gate spoke on, lately and over a longer time."""

    lately: int
    longer: int


NO_FIRINGS = RuleFirings(0, 0)


def count_gate_rule_firings(
    reader: Reader, *, lately: datetime, longer: datetime
) -> dict[str, RuleFirings]:
    """Return by rule on how many messages it fired since each moment; each message counts once."""
    rows = reader.all(
        "SELECT rule, count(DISTINCT CASE WHEN at >= :lately THEN message END) AS lately,"
        " count(DISTINCT message) AS longer FROM ("
        "SELECT d.at, d.message, json_extract(v.value, '$.id') AS rule"
        " FROM decisions AS d, json_each(d.document, '$.vetoes') AS v WHERE d.at >= :longer"
        " UNION ALL SELECT d.at, d.message, json_extract(c.value, '$.id')"
        " FROM decisions AS d, json_each(d.document, '$.contributions') AS c"
        " WHERE d.at >= :longer) GROUP BY rule",
        {"lately": format_timestamp(lately), "longer": format_timestamp(longer)},
    )
    return {row["rule"]: RuleFirings(row["lately"], row["longer"]) for row in rows}


def count_score_rule_firings(reader: Reader) -> dict[str, int]:
    """Return by rule for how many prospects it counts, as they are scored now."""
    rows = reader.all(
        "SELECT json_extract(c.value, '$.id') AS rule, count(*) AS n FROM prospects AS p,"
        " json_each(p.score_explanation, '$.contributions') AS c"
        " WHERE p.score_explanation IS NOT NULL GROUP BY rule"
    )
    return {row["rule"]: row["n"] for row in rows}
