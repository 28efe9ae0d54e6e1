"""Who asked to see the data that is stored of them, and has not got it: derived from evidence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from storage.column_formats import parse_timestamp
from storage.evidence import EvidenceKind
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader

ANSWER_DAYS: Final = 10
"""Days to answer, from the day they asked: Argentina, Ley 25.326, article 14."""
_KINDS: Final = format_sql_list({EvidenceKind.DATA_ASKED, EvidenceKind.DATA_GIVEN})
# The latest word on it counts: they asked, or they got it.
_OPEN: Final = (
    "SELECT e.contact, e.at, e.inbound FROM evidence AS e WHERE e.kind = 'data_asked'"
    " AND NOT EXISTS (SELECT 1 FROM evidence AS later WHERE later.contact = e.contact"
    f" AND later.kind IN {_KINDS} AND later.id > e.id)"
)


class DataRequest(Struct, frozen=True):
    """Somebody who asked for their data at a time, by a message of theirs."""

    contact: str
    asked_at: datetime
    inbound: str

    @property
    def due_at(self) -> datetime:
        """Return until when they must have it."""
        return self.asked_at + timedelta(days=ANSWER_DAYS)


def list_data_requests(reader: Reader, contact: str = "") -> list[DataRequest]:
    """Return the requests without an answer, the oldest first; with ``contact``, theirs alone."""
    rows = reader.all(
        f"{_OPEN} AND (:contact = '' OR e.contact = :contact) ORDER BY e.at, e.id",
        {"contact": contact},
    )
    return [DataRequest(row["contact"], parse_timestamp(row["at"]), row["inbound"]) for row in rows]


def find_due_time(reader: Reader, contact: str) -> datetime | None:
    """Return until when somebody must have their data; None where they did not ask for it."""
    return next((each.due_at for each in list_data_requests(reader, contact)), None)
