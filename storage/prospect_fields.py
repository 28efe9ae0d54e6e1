"""The `prospect_fields` table: further data of prospects, each under the header of its list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.tx import Reader, Tx


def insert_prospect_fields(tx: Tx, fields: Mapping[str, Mapping[str, str]]) -> None:
    """Store fields by prospect; one that a prospect has already is left as it is."""
    tx.execute_many(
        "INSERT INTO prospect_fields (prospect, name, value) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (prospect, name, value)
            for prospect, values in fields.items()
            for name, value in values.items()
        ],
    )


def list_prospect_fields(reader: Reader, prospects: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the fields of these prospects, by prospect and name; every prospect has its entry."""
    found: dict[str, dict[str, str]] = {prospect: {} for prospect in prospects}
    marks = ", ".join("?" for _ in prospects)
    for row in reader.all(
        f"SELECT * FROM prospect_fields WHERE prospect IN ({marks}) ORDER BY name",
        tuple(prospects),
    ):
        found[row["prospect"]][row["name"]] = row["value"]
    return found


def list_field_names(reader: Reader) -> list[str]:
    """Return the names that any prospect has a field of, in order."""
    return [
        row["name"] for row in reader.all("SELECT DISTINCT name FROM prospect_fields ORDER BY name")
    ]


def move_prospect_fields(tx: Tx, *, source: str, target: str) -> None:
    """Give a prospect the fields of another one that it has none of yet."""
    tx.execute(
        "UPDATE OR IGNORE prospect_fields SET prospect = ? WHERE prospect = ?", (target, source)
    )
