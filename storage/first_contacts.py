"""What became of a number's latest first contacts: answered, undelivered, complained of.

A first contact is a message that was booked as a new chat of the number, by whatever channel,
and left. What a person began on the phone itself is in the budget, but no message of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from storage.times import stamp

if TYPE_CHECKING:
    from storage.tx import Reader

LATEST: Final = 20
"""How many first contacts speak for a number."""
DELIVERED_WITHIN: Final = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(hours=72)

_LEFT = (
    "(m.state IN ('sent', 'delivered', 'read', 'confirmed_by_hand')"
    " OR (m.state = 'failed' AND m.sent_at IS NOT NULL))"
)
_SINCE = "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = c.contact AND e.at >= c.at"
_WROTE = f"{_SINCE} AND e.kind = 'inbound')"
_WELCOMED = f"{_SINCE} AND e.kind = 'inbound' AND e.value NOT IN ('refused', 'opt_out'))"
_COMPLAINED = f"{_SINCE} AND e.kind = 'complaint')"
_LOST = f"(c.state = 'failed' OR (c.state = 'sent' AND NOT {_WROTE}))"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; ``of`` is `LATEST` at most."""

    count: int
    of: int


@dataclass(frozen=True, slots=True)
class FirstContacts:
    """A number's record. Each share is of the latest that have had their time.

    ``answered``: they wrote back, and it was no refusal; of those `ANSWERED_WITHIN` old.
    ``undelivered``: failed, or no sign that it arrived; of those whose fate is known, or
    `DELIVERED_WITHIN` old. Of what was sent by hand nobody hears whether it arrived.
    ``complained``: a complaint came after it; of all.
    """

    answered: Share
    undelivered: Share
    complained: Share


def of_number(reader: Reader, phone: str, at: datetime) -> FirstContacts:
    """Return the record of a number (``phone``: as in `storage.spends`) as of ``at``."""
    times = {
        "phone": phone,
        "answered_by": stamp(at - ANSWERED_WITHIN),
        "delivered_by": stamp(at - DELIVERED_WITHIN),
    }
    settled = "m.state <> 'confirmed_by_hand' AND (m.state <> 'sent' OR s.at <= :delivered_by)"
    return FirstContacts(
        answered=_share(reader, _WELCOMED, "s.at <= :answered_by", times),
        undelivered=_share(reader, _LOST, settled, times),
        complained=_share(reader, _COMPLAINED, "TRUE", times),
    )


def _share(reader: Reader, counted: str, ripe: str, values: dict[str, str]) -> Share:
    row = reader.one(
        f"SELECT coalesce(sum({counted}), 0) AS n, count(*) AS latest FROM"
        " (SELECT m.contact, m.state, s.at FROM spends AS s JOIN messages AS m ON m.id = s.message"
        " WHERE s.phone = :phone AND s.kind IN ('new_chat', 'manual_new_chat')"
        f" AND s.message IS NOT NULL AND {_LEFT} AND {ripe}"
        f" ORDER BY s.at DESC LIMIT {LATEST}) AS c",
        values,
    )
    return Share(row["n"], row["latest"]) if row else Share(0, 0)
