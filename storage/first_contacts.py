"""Counts how first contacts went: answered, delivered, complained, opted out.

Rules read shares of a number's latest; the breaker those since a person last resumed new chats;
the phases of the service all that ever left.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import LEFT_STATES, MessageState
from storage.column_formats import format_timestamp
from storage.evidence import EvidenceKind
from storage.spends import FIRST_CONTACT_KINDS
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader

LATEST_FIRST_CONTACTS: Final = 20
"""How many of a number's latest first contacts its shares are computed from."""
LATEST_ANSWERABLE: Final = 40
"""How many the breaker computes the share of answers from."""
DELIVERED_WITHIN: Final = timedelta(hours=24)
ANSWERED_WITHIN: Final = timedelta(hours=72)
NO_ANSWERS: Final = (
    "('opt_out', 'declined', 'complaint', 'wrong_person', 'minor', 'deceased', 'unclear',"
    " 'automatic')"
)
"""SQL of what contacts may write that is no answer to what we offer."""

# A first contact that the platform reported as failed later has left, too: it counts.
_FIRST_CONTACT_LEFT = (
    f"(m.state IN {format_sql_list(LEFT_STATES)}"
    f" OR (m.state = '{MessageState.FAILED}' AND m.sent_at IS NOT NULL))"
)
_IS_NOT_WITHDRAWN = (
    "NOT EXISTS (SELECT 1 FROM evidence AS w WHERE w.contact = e.contact"
    f" AND w.kind = '{EvidenceKind.WITHDRAWN}' AND w.value = CAST(e.id AS TEXT))"
)
_EVIDENCE_SINCE = (
    "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = c.contact AND e.at >= c.since"
    " AND e.at <= :as_of"
)
_ANSWERED = f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.INBOUND}')"
_ANSWERED_WITHOUT_REFUSAL = (
    f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.INBOUND}' AND e.value NOT IN {NO_ANSWERS})"
)
_COMPLAINED = f"{_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.COMPLAINT}' AND {_IS_NOT_WITHDRAWN})"
_OPTED_OUT = (
    f"({_EVIDENCE_SINCE} AND e.kind = '{EvidenceKind.INBOUND}' AND e.value = 'opt_out'"
    f" AND {_IS_NOT_WITHDRAWN})"
    # On the telephone, or in an imported list.
    " OR EXISTS (SELECT 1 FROM suppressions AS u WHERE u.contact = c.contact AND u.at >= c.since"
    " AND u.at <= :as_of AND u.lifted_at IS NULL))"
)
# An answer proves that a message arrived, though no receipt came.
_UNDELIVERED = (
    f"(c.state = '{MessageState.FAILED}' OR (c.state = '{MessageState.SENT}' AND NOT {_ANSWERED}))"
)
_SETTLED = (
    f"m.state <> '{MessageState.CONFIRMED_BY_HAND}'"
    f" AND (m.state <> '{MessageState.SENT}' OR s.at <= :delivered_by)"
)
# The same as of a moment that may be past: by the history, not by the present state.
_WAS_DELIVERED = (
    "EXISTS (SELECT 1 FROM message_history AS h WHERE h.message = {message} AND h.at <= :as_of"
    f" AND h.state IN ('{MessageState.DELIVERED}', '{MessageState.READ}'))"
)
_HAD_FAILED = (
    "EXISTS (SELECT 1 FROM message_history AS h WHERE h.message = {message} AND h.at <= :as_of"
    f" AND h.state = '{MessageState.FAILED}')"
)
_WAS_UNDELIVERED = (
    f"({_HAD_FAILED.format(message='c.message')}"
    f" OR NOT ({_WAS_DELIVERED.format(message='c.message')} OR {_ANSWERED}))"
)
_WAS_SETTLED = (
    f"m.channel <> 'manual' AND (s.at <= :delivered_by OR {_HAD_FAILED.format(message='m.id')}"
    f" OR {_WAS_DELIVERED.format(message='m.id')})"
)
_ARRIVED = f"({_WAS_DELIVERED.format(message='c.message')} OR {_ANSWERED})"
# Of a message sent by hand nobody sees that it failed, and of a recent one nobody knows yet.
_SEEN = (
    f"({_ARRIVED} OR {_HAD_FAILED.format(message='c.message')}"
    " OR (c.channel <> 'manual' AND c.sent_at <= :delivered_by))"
)
_FIRST_CONTACT_KINDS = format_sql_list(FIRST_CONTACT_KINDS)
_END_OF_TIME = "9999"


class FirstContactShare(Struct, frozen=True):
    """A count out of a total, which is the number of the latest first contacts at most."""

    count: int
    total: int


class FirstContactRates(Struct, frozen=True):
    """How the latest first contacts of a phone number went.

    ``answered``: they wrote back, and it was no refusal; of those at least `ANSWERED_WITHIN` old.
    ``undelivered``: failed, or no sign that it arrived; of those whose outcome is known or that are
    `DELIVERED_WITHIN` old; not of those sent by hand, for which no receipt comes.
    ``complained``: a complaint came afterwards; of all.
    """

    answered: FirstContactShare
    undelivered: FirstContactShare
    complained: FirstContactShare


class BreakerCounts(Struct, frozen=True):
    """What the breaker counts: as `FirstContactRates`, of the first contacts since a resume.

    ``answered`` is of the latest `LATEST_ANSWERABLE`. ``opted_out``: they asked for no more
    messages afterwards, or somebody entered that for them.
    """

    opted_out: FirstContactShare
    complained: FirstContactShare
    undelivered: FirstContactShare
    answered: FirstContactShare


class FirstContactTotals(Struct, frozen=True):
    """How all first contacts went, over all numbers.

    ``arrived`` is of the ``seen``: those of which it can be known by now whether they arrived. One
    sent by hand is seen once a receipt or an answer comes. ``refused``: they opted out or
    complained afterwards.
    """

    sent: int
    seen: int
    arrived: int
    refused: int


def count_first_contacts(
    reader: Reader, at: datetime, simulated_channels: Collection[str]
) -> FirstContactTotals:
    """Return the totals, without those of channels that reach nobody."""
    # From the messages: they are kept, while spends are deleted once no budget counts them.
    row = reader.one(
        f"SELECT count(*) AS sent, coalesce(sum({_SEEN}), 0) AS seen,"
        f" coalesce(sum({_ARRIVED}), 0) AS arrived,"
        f" coalesce(sum({_COMPLAINED} OR {_OPTED_OUT}), 0) AS refused FROM"
        " (SELECT m.id AS message, m.contact, m.channel, m.sent_at, m.created_at AS since"
        f" FROM messages AS m WHERE m.first_contact = 1 AND {_FIRST_CONTACT_LEFT}"
        " AND m.channel NOT IN (SELECT value FROM json_each(:simulated))) AS c",
        {
            "as_of": _END_OF_TIME,
            "delivered_by": format_timestamp(at - DELIVERED_WITHIN),
            "simulated": json.dumps(sorted(simulated_channels)),
        },
    )
    if row is None:
        return FirstContactTotals(0, 0, 0, 0)
    return FirstContactTotals(row["sent"], row["seen"], row["arrived"], row["refused"])


def get_first_contact_rates(reader: Reader, phone: str, at: datetime) -> FirstContactRates:
    """Return the rates of a number (``phone``: as in `storage.spends`) as of ``at``."""
    values = _build_values(phone, at)
    return FirstContactRates(
        answered=_count_share(reader, _ANSWERED_WITHOUT_REFUSAL, "s.at <= :answered_by", values),
        undelivered=_count_share(reader, _UNDELIVERED, _SETTLED, values),
        complained=_count_share(reader, _COMPLAINED, "TRUE", values),
    )


def get_breaker_counts(
    reader: Reader, phone: str, at: datetime, *, after: int = 0, before: int | None = None
) -> BreakerCounts:
    """Return the counts at a moment, of the first contacts after the spend with this id.

    With ``before``, the id of another spend, they are those of a past moment: of the first
    contacts in between, by what was known then.
    """
    values = _build_values(phone, at) | {"after": after, "before": before}
    if before is not None:
        values["as_of"] = format_timestamp(at)
    return BreakerCounts(
        opted_out=_count_share(reader, _OPTED_OUT, "TRUE", values),
        complained=_count_share(reader, _COMPLAINED, "TRUE", values),
        undelivered=_count_share(reader, _WAS_UNDELIVERED, _WAS_SETTLED, values),
        answered=_count_share(
            reader,
            _ANSWERED_WITHOUT_REFUSAL,
            "s.at <= :answered_by",
            values,
            latest=LATEST_ANSWERABLE,
        ),
    )


def _build_values(phone: str, at: datetime) -> dict[str, object]:
    return {
        "phone": phone,
        # Everything that is known, also what has a later time after the clock was set back.
        "as_of": _END_OF_TIME,
        "answered_by": format_timestamp(at - ANSWERED_WITHIN),
        "delivered_by": format_timestamp(at - DELIVERED_WITHIN),
        "after": 0,
        "before": None,
    }


def _count_share(
    reader: Reader,
    counted: str,
    ripe: str,
    values: dict[str, object],
    *,
    latest: int = LATEST_FIRST_CONTACTS,
) -> FirstContactShare:
    # Since the message was written, where the spend seems later: after a step of the clock, spends
    # have the new time, and evidence has the old one.
    row = reader.one(
        f"SELECT coalesce(sum({counted}), 0) AS n, count(*) AS latest FROM"
        " (SELECT m.id AS message, m.contact, m.state, min(s.at, m.created_at) AS since"
        " FROM spends AS s JOIN messages AS m ON m.id = s.message"
        f" WHERE s.phone = :phone AND s.kind IN {_FIRST_CONTACT_KINDS}"
        " AND s.message IS NOT NULL AND s.id > :after AND (:before IS NULL OR s.id < :before)"
        f" AND {_FIRST_CONTACT_LEFT} AND {ripe} ORDER BY s.id DESC LIMIT {latest}) AS c",
        values,
    )
    return FirstContactShare(row["n"], row["latest"]) if row else FirstContactShare(0, 0)
