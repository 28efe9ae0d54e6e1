"""What became of a number's latest first contacts: answered, undelivered, complained of.

A first contact is a message that was booked as a new chat of the number, by whatever channel,
and left. What a person began on the phone itself is in the budget, but no message of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from storage.times import format_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader

LATEST_FIRST_CONTACTS: Final = 20
"""How many first contacts speak for a number."""
DELIVERED_WITHIN: Final = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(hours=72)

_FIRST_CONTACT_LEFT = (
    "(m.state IN ('sent', 'delivered', 'read', 'confirmed_by_hand')"
    " OR (m.state = 'failed' AND m.sent_at IS NOT NULL))"
)
_EVIDENCE_SINCE = "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = c.contact AND e.at >= c.at"
_ANSWERED = f"{_EVIDENCE_SINCE} AND e.kind = 'inbound')"
_ANSWERED_WITHOUT_REFUSAL = (
    f"{_EVIDENCE_SINCE} AND e.kind = 'inbound' AND e.value NOT IN ('refused', 'opt_out'))"
)
_COMPLAINED = f"{_EVIDENCE_SINCE} AND e.kind = 'complaint')"
_UNDELIVERED = f"(c.state = 'failed' OR (c.state = 'sent' AND NOT {_ANSWERED}))"


@dataclass(frozen=True, slots=True)
class FirstContactShare:
    """So many of so many; ``of`` is `LATEST` at most."""

    count: int
    total: int


@dataclass(frozen=True, slots=True)
class FirstContactRates:
    """A number's record. Each share is of the latest that have had their time.

    ``answered``: they wrote back, and it was no refusal; of those `ANSWERED_WITHIN` old.
    ``undelivered``: failed, or no sign that it arrived; of those whose fate is known, or
    `DELIVERED_WITHIN` old. Of what was sent by hand nobody hears whether it arrived.
    ``complained``: a complaint came after it; of all.
    """

    answered: FirstContactShare
    undelivered: FirstContactShare
    complained: FirstContactShare


def get_first_contact_rates(reader: Reader, phone: str, at: datetime) -> FirstContactRates:
    """Return the record of a number (``phone``: as in `storage.spends`) as of ``at``."""
    times = {
        "phone": phone,
        "answered_by": format_timestamp(at - ANSWERED_WITHIN),
        "delivered_by": format_timestamp(at - DELIVERED_WITHIN),
    }
    settled = "m.state <> 'confirmed_by_hand' AND (m.state <> 'sent' OR s.at <= :delivered_by)"
    return FirstContactRates(
        answered=_count_share(reader, _ANSWERED_WITHOUT_REFUSAL, "s.at <= :answered_by", times),
        undelivered=_count_share(reader, _UNDELIVERED, settled, times),
        complained=_count_share(reader, _COMPLAINED, "TRUE", times),
    )


def _count_share(
    reader: Reader, counted: str, ripe: str, values: dict[str, str]
) -> FirstContactShare:
    row = reader.one(
        f"SELECT coalesce(sum({counted}), 0) AS n, count(*) AS latest FROM"
        " (SELECT m.contact, m.state, s.at FROM spends AS s JOIN messages AS m ON m.id = s.message"
        " WHERE s.phone = :phone AND s.kind IN ('new_chat', 'manual_new_chat')"
        f" AND s.message IS NOT NULL AND {_FIRST_CONTACT_LEFT} AND {ripe}"
        f" ORDER BY s.at DESC LIMIT {LATEST_FIRST_CONTACTS}) AS c",
        values,
    )
    return FirstContactShare(row["n"], row["latest"]) if row else FirstContactShare(0, 0)
