"""The `client_terms` table: what a client pays, for which columns, and until when they object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx


class DeliveryColumn(StrEnum):
    """A column of the file that a client gets."""

    NAME = "name"
    PHONE = "phone"
    TRADE = "trade"
    EMAIL = "email"
    CITY = "city"
    COUNTRY = "country"
    CARTERA_ORIGEN = "cartera_origen"
    VALIDATION = "validation"
    PERMISSION = "permission"
    INTENT = "intent"
    QUOTE = "quote"


NEEDED_COLUMNS: Final = (DeliveryColumn.NAME, DeliveryColumn.PHONE)
"""Without them a file is of no use."""
USUAL_COLUMNS: Final = (
    *NEEDED_COLUMNS,
    DeliveryColumn.TRADE,
    DeliveryColumn.CITY,
    DeliveryColumn.VALIDATION,
    DeliveryColumn.PERMISSION,
    DeliveryColumn.INTENT,
    DeliveryColumn.QUOTE,
)


class DeliveryTerms(Struct, frozen=True, kw_only=True):
    """What was agreed with a client; a batch keeps it as it was when it was frozen.

    ``price_cents`` is for each accepted row, in hundredths of the currency. ``reasons`` are those
    for which a row may be disputed, within ``dispute_days``; ``exclusive_days`` is for how long no
    other client gets these people. ``silence_accepts``: what nobody disputed counts as accepted
    after the last day.
    """

    price_cents: int
    currency: str
    dispute_days: int
    reasons: Sequence[str]
    exclusive_days: int
    columns: Sequence[DeliveryColumn]
    silence_accepts: bool
    language: str


class ClientTerms(DeliveryTerms, frozen=True, kw_only=True):
    """The terms of a client for its next batch, and who set them last."""

    client: str
    changed_at: datetime
    changed_by: str


TERMS_COLUMNS: Final = (
    "price_cents",
    "currency",
    "dispute_days",
    "reasons",
    "exclusive_days",
    "columns",
    "silence_accepts",
    "language",
)
"""The columns of the terms, in `client_terms` and in `deliveries`."""


def store_client_terms(
    tx: Tx, client: str, terms: DeliveryTerms, *, at: datetime, who: str
) -> ClientTerms:
    """Store the terms of a client in place of those before, and return them."""
    marks = ", ".join("?" for _ in (*TERMS_COLUMNS, "client", "changed_at", "changed_by"))
    tx.execute(
        f"INSERT OR REPLACE INTO client_terms ({', '.join(TERMS_COLUMNS)}, client, changed_at,"
        f" changed_by) VALUES ({marks})",
        (*terms_to_columns(terms), client, format_timestamp(at), who),
    )
    stored = get_client_terms(tx, client)
    if stored is None:
        raise KeyError(client)
    return stored


def get_client_terms(reader: Reader, client: str) -> ClientTerms | None:
    """Return the terms of a client, or None where nobody has set any."""
    row = reader.one("SELECT * FROM client_terms WHERE client = ?", (client,))
    if row is None:
        return None
    terms = terms_from_row(row)
    return ClientTerms(
        **{name: getattr(terms, name) for name in TERMS_COLUMNS},
        client=row["client"],
        changed_at=parse_timestamp(row["changed_at"]),
        changed_by=row["changed_by"],
    )


def terms_to_columns(terms: DeliveryTerms) -> list[object]:
    """Return the values of the columns in :data:`TERMS_COLUMNS`."""
    return [
        *(terms.price_cents, terms.currency, terms.dispute_days),
        *(json.dumps(list(terms.reasons), ensure_ascii=False), terms.exclusive_days),
        *(json.dumps(list(terms.columns)), int(terms.silence_accepts), terms.language),
    ]


def terms_from_row(row: sqlite3.Row) -> DeliveryTerms:
    """Return the terms of a row that has every column of :data:`TERMS_COLUMNS`."""
    return DeliveryTerms(
        price_cents=row["price_cents"],
        currency=row["currency"],
        dispute_days=row["dispute_days"],
        reasons=tuple(json.loads(row["reasons"])),
        exclusive_days=row["exclusive_days"],
        columns=tuple(map(DeliveryColumn, json.loads(row["columns"]))),
        silence_accepts=bool(row["silence_accepts"]),
        language=row["language"],
    )
