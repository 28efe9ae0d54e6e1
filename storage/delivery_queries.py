"""Questions over all deliveries: which client a person went to, the money, who opted out since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.delivery import DeliveryRowState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.evidence import EvidenceKind
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader, Tx

_TAKEN_BACK: Final = format_sql_list({DeliveryRowState.REPLACED, DeliveryRowState.WITHDRAWN})
_OPTED_OUT: Final = (
    "(SELECT min(s.at) FROM suppressions AS s WHERE s.contact = r.contact AND s.lifted_at IS NULL)"
)
_ANSWERS: Final = format_sql_list({EvidenceKind.MAY_SHARE, EvidenceKind.MAY_NOT_SHARE})
# Nobody is handed over whose latest answer is a no: one that stands now came after the delivery.
_SHARING_REFUSED: Final = (
    f"(SELECT iif(e.kind = '{EvidenceKind.MAY_NOT_SHARE}', e.at, NULL) FROM evidence AS e"
    f" WHERE e.contact = r.contact AND e.kind IN {_ANSWERS} AND e.value = d.client"
    " AND NOT EXISTS (SELECT 1 FROM evidence AS w WHERE w.contact = e.contact"
    f" AND w.kind = '{EvidenceKind.WITHDRAWN}' AND w.value = CAST(e.id AS TEXT))"
    " ORDER BY e.at DESC, e.id DESC LIMIT 1)"
)
_LATER_OPT_OUTS: Final = (
    "SELECT r.*, d.number AS delivery_number, d.client, c.name AS client_name,"
    f" coalesce({_OPTED_OUT}, {_SHARING_REFUSED}) AS opted_out_at FROM delivery_rows AS r"
    " JOIN deliveries AS d ON d.id = r.delivery JOIN clients AS c ON c.id = d.client"
    f" WHERE (r.erased = 1 OR {_OPTED_OUT} IS NOT NULL OR {_SHARING_REFUSED} IS NOT NULL)"
)


class FormerDelivery(Struct, frozen=True, kw_only=True):
    """That a person was handed to a client; ``exclusive_until`` is None once it was taken back."""

    client: str
    client_name: str
    exclusive_until: date | None


class AcceptedRow(Struct, frozen=True, kw_only=True):
    """A row that a client pays for: when it was accepted, and the price of its batch."""

    client: str
    client_name: str
    delivery: str
    delivery_number: int
    row: int
    accepted_at: datetime
    price_cents: int
    currency: str


class LaterOptOut(Struct, frozen=True, kw_only=True):
    """Somebody who opted out after they were handed to a client, or took their yes to it back.

    Of an erased person only the row is known, and not when. ``reported_at`` is when a person said
    that the client knows; None where the client does not yet.
    """

    client: str
    client_name: str
    delivery: str
    delivery_number: int
    row: int
    name: str
    phone: str
    opted_out_at: datetime | None
    erased: bool
    reported_at: datetime | None

    def __repr__(self) -> str:
        """Keep name and number out of logs."""
        return f"LaterOptOut({self.delivery!r}, {self.row})"


def list_former_deliveries(reader: Reader, contact: str) -> list[FormerDelivery]:
    """Return to which clients a person was handed, the latest first."""
    rows = reader.all(
        f"SELECT d.client, c.name, iif(r.state IN {_TAKEN_BACK}, NULL, r.exclusive_until) AS until"
        " FROM delivery_rows AS r JOIN deliveries AS d ON d.id = r.delivery"
        " JOIN clients AS c ON c.id = d.client WHERE r.contact = ? ORDER BY r.at DESC",
        (contact,),
    )
    return [
        FormerDelivery(
            client=row["client"],
            client_name=row["name"],
            exclusive_until=date.fromisoformat(row["until"]) if row["until"] else None,
        )
        for row in rows
    ]


def list_accepted_rows(
    reader: Reader, *, since: datetime, until: datetime, client: str = ""
) -> list[AcceptedRow]:
    """Return the rows accepted from ``since`` on and before ``until``, in order of acceptance."""
    rows = reader.all(
        "SELECT d.client, c.name, d.id, d.number, h.row, h.at, d.price_cents, d.currency"
        " FROM delivery_row_history AS h JOIN deliveries AS d ON d.id = h.delivery"
        " JOIN clients AS c ON c.id = d.client"
        f" WHERE h.state = '{DeliveryRowState.ACCEPTED}' AND h.at >= :since AND h.at < :until"
        " AND (:client = '' OR d.client = :client) ORDER BY h.at, h.id",
        {"since": format_timestamp(since), "until": format_timestamp(until), "client": client},
    )
    return [
        AcceptedRow(
            client=row["client"],
            client_name=row["name"],
            delivery=row["id"],
            delivery_number=row["number"],
            row=row["row"],
            accepted_at=parse_timestamp(row["at"]),
            price_cents=row["price_cents"],
            currency=row["currency"],
        )
        for row in rows
    ]


def list_later_opt_outs(reader: Reader, *, client: str = "") -> list[LaterOptOut]:
    """Return who opted out, or refused that client, after they were handed over to it."""
    rows = reader.all(
        f"{_LATER_OPT_OUTS} AND (:client = '' OR d.client = :client) ORDER BY d.number, r.number",
        {"client": client},
    )
    return [_opt_out_from_row(row) for row in rows]


def mark_opt_outs_reported(tx: Tx, found: Sequence[LaterOptOut], *, at: datetime) -> None:
    """Note that the client knows of these people; what it knew before keeps its date."""
    tx.execute_many(
        "UPDATE delivery_rows SET opt_out_reported_at = ? WHERE delivery = ? AND number = ?"
        " AND opt_out_reported_at IS NULL",
        [(format_timestamp(at), each.delivery, each.row) for each in found],
    )


def count_unreported_opt_outs(reader: Reader) -> list[tuple[str, str, int]]:
    """Return each client that does not know of a later opt-out yet: id, name, and how many."""
    rows = reader.all(
        f"SELECT client, client_name, count(*) AS n FROM ({_LATER_OPT_OUTS}"
        " AND r.opt_out_reported_at IS NULL) GROUP BY client ORDER BY client_name"
    )
    return [(row["client"], row["client_name"], row["n"]) for row in rows]


def count_disputed_rows(reader: Reader) -> int:
    """Return how many rows are disputed and not settled."""
    count: int = reader.value(
        "SELECT count(*) FROM delivery_rows WHERE state = ?", (DeliveryRowState.DISPUTED,)
    )
    return count


def _opt_out_from_row(row: sqlite3.Row) -> LaterOptOut:
    reported, opted_out = row["opt_out_reported_at"], row["opted_out_at"]
    return LaterOptOut(
        client=row["client"],
        client_name=row["client_name"],
        delivery=row["delivery"],
        delivery_number=row["delivery_number"],
        row=row["number"],
        name=row["name"],
        phone=row["phone"],
        opted_out_at=parse_timestamp(opted_out) if opted_out else None,
        erased=bool(row["erased"]),
        reported_at=parse_timestamp(reported) if reported else None,
    )
