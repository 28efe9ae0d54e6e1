"""Who waits for our answer, and since when: the one query of list, badges, Today and ban page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import LEFT_STATES, MessageState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.console_queries import WaitingCount, waiting_count_from_row
from storage.sql_text import format_sql_list
from storage.suppressions import IS_CONTACT_SUPPRESSED

if TYPE_CHECKING:
    from storage.tx import Reader

_NOBODY: Final = "('deceased', 'minor', 'wrong_person')"
_REFUSALS: Final = "('complaint', 'declined', 'opt_out')"
ANSWERABLE: Final = "{i}.own = 0 AND {i}.conversation = 1 AND {i}.past = 0"
"""SQL for whether the row ``{i}`` of `inbound` is one that somebody could wait for an answer to."""

LEFT_AT: Final = (
    f"CASE WHEN m.state = '{MessageState.CONFIRMED_BY_HAND}' THEN coalesce((SELECT max(h.at)"
    f" FROM message_history AS h WHERE h.message = m.id AND h.state = '{MessageState.REVEALED}'),"
    " m.changed_at) ELSE coalesce(m.sent_at, m.changed_at) END"
)
"""SQL for when a message ``m`` that left did so.

One by hand counts from when its link was opened, because an answer may come before the operator has
confirmed it."""

_OUR_LAST: Final = (
    f"(SELECT max(at) FROM (SELECT {LEFT_AT} AS at FROM messages AS m"
    f" WHERE m.contact = theirs.contact AND m.state IN {format_sql_list(LEFT_STATES)}"
    " UNION ALL SELECT o.at FROM inbound AS o WHERE o.contact = theirs.contact AND o.own = 1))"
)
# What comes in live was written after all that we had sent when it arrived, whatever whole second
# its sender's phone gives it; what was written while we were offline is dated by its writing.
HEARD_AT: Final = "iif(i.origin = 'live', i.received_at, i.at)"
"""SQL for the moment since when a message ``i`` of theirs answers what had left before it."""
IS_KNOWN: Final = (
    "(EXISTS (SELECT 1 FROM prospects AS kp WHERE kp.contact = {contact})"
    " OR EXISTS (SELECT 1 FROM messages AS km WHERE km.contact = {contact}))"
)
"""SQL for whether a contact is nobody's private chat: a prospect, or somebody we wrote to."""

_IS_NOBODY: Final = (
    "EXISTS (SELECT 1 FROM evidence AS e WHERE e.contact = theirs.contact AND e.kind = 'inbound'"
    f" AND e.value IN {_NOBODY} AND NOT EXISTS (SELECT 1 FROM evidence AS w"
    " WHERE w.contact = e.contact AND w.kind = 'withdrawn' AND w.value = CAST(e.id AS TEXT)))"
)
_IS_REFUSED: Final = (
    "coalesce((SELECT p.permission = 'refused' FROM prospects AS p"
    f" WHERE p.contact = theirs.contact), (SELECT last.request IN {_REFUSALS} FROM inbound AS last"
    " WHERE last.id = theirs.last_id))"
)
_ORIGIN_WINDOW: Final = timedelta(hours=24)
# For so long their question about us may be answered even if they said no, and nothing else.
_ASKS_ORIGIN: Final = (
    "EXISTS (SELECT 1 FROM evidence AS q JOIN inbound AS i ON i.id = q.inbound"
    " WHERE q.contact = theirs.contact AND q.kind = 'inbound' AND q.value = 'question_about_us'"
    f" AND q.at > :asked_since AND {HEARD_AT} >= coalesce({_OUR_LAST}, '')"
    " AND NOT EXISTS (SELECT 1 FROM evidence AS w WHERE w.contact = q.contact"
    " AND w.kind = 'withdrawn' AND w.value = CAST(q.id AS TEXT)))"
)
_IS_SNOOZED: Final = "coalesce(c.snoozed_until > :now AND theirs.last_id <= c.snoozed_after, 0)"
_TALKS: Final = (
    "talks AS MATERIALIZED (SELECT theirs.contact, theirs.last_id,"
    f" coalesce({_OUR_LAST}, '') AS left_at, {IS_KNOWN.format(contact='theirs.contact')} AS known,"
    f" {_IS_SNOOZED} AS snoozed, coalesce(c.closed_after, '') AS closed_after"
    " FROM (SELECT i.contact, max(i.id) AS last_id FROM inbound AS i"
    f" WHERE {ANSWERABLE.format(i='i')} GROUP BY i.contact) AS theirs"
    " LEFT JOIN conversations AS c ON c.contact = theirs.contact"
    " WHERE coalesce(c.closed_after, '') < theirs.last_id"
    f" AND NOT ({_IS_REFUSED} AND NOT {_ASKS_ORIGIN}) AND NOT {_IS_NOBODY}"
    f" AND NOT {IS_CONTACT_SUPPRESSED.format(contact='theirs.contact')})"
)
_UNANSWERED: Final = (
    f"WITH {_TALKS} SELECT t.contact, min(i.at) AS since, t.last_id, count(*) AS messages,"
    " min(i.request = 'courtesy') AND t.left_at <> '' AS courtesy, t.known, t.snoozed,"
    " max(:session = '' OR i.session = :session) AS of_session FROM talks AS t"
    f" JOIN inbound AS i ON i.contact = t.contact AND {ANSWERABLE.format(i='i')}"
    f" AND i.id > t.closed_after AND {HEARD_AT} >= t.left_at GROUP BY t.contact"
)


class UnansweredConversation(Struct, frozen=True, kw_only=True):
    """Somebody who wrote after our last message that left, in a chat that is not closed.

    ``since`` is when they wrote the first of the ``messages`` that have no answer; ``last_inbound``
    is the id of the last. ``courtesy``: these are thanks or a greeting, after something of ours.
    ``known``: a prospect, or somebody we wrote to. They wait if they are known, the chat is not
    ``snoozed``, and there is more than courtesy.
    """

    contact: str
    since: datetime
    last_inbound: str
    messages: int
    courtesy: bool
    known: bool
    snoozed: bool

    @property
    def waits(self) -> bool:
        """Return whether an answer of ours is waited for now."""
        return self.known and not self.snoozed and not self.courtesy


def list_unanswered(
    reader: Reader, now: datetime, *, contact: str = ""
) -> list[UnansweredConversation]:
    """Return everybody who has no answer, the longest first; with ``contact``, this one alone."""
    rows = reader.all(
        f"SELECT * FROM ({_UNANSWERED}) WHERE :contact = '' OR contact = :contact"
        " ORDER BY since, contact",
        {**_build_moments(now), "session": "", "contact": contact},
    )
    return [
        UnansweredConversation(
            contact=row["contact"],
            since=parse_timestamp(row["since"]),
            last_inbound=row["last_id"],
            messages=row["messages"],
            courtesy=bool(row["courtesy"]),
            known=bool(row["known"]),
            snoozed=bool(row["snoozed"]),
        )
        for row in rows
    ]


def count_waiting(reader: Reader, now: datetime, *, session: str = "") -> WaitingCount:
    """Return how many people wait for our answer, and since when the first of them does.

    With ``session``, those who wrote to it.
    """
    return waiting_count_from_row(
        reader.one(
            f"SELECT count(*) AS n, min(since) AS since FROM ({_UNANSWERED})"
            " WHERE known AND NOT snoozed AND NOT courtesy AND of_session",
            {**_build_moments(now), "session": session},
        )
    )


def _build_moments(now: datetime) -> dict[str, str]:
    return {
        "now": format_timestamp(now),
        "asked_since": format_timestamp(now - _ORIGIN_WINDOW),
    }


class OpenConversation(Struct, frozen=True):
    """Somebody who wrote to a number, when last, and the prospect that they are, if known."""

    contact: str
    prospect: str | None
    name: str
    last_at: datetime
    answered: bool


def list_open_conversations(
    reader: Reader, phone: str, since: datetime, limit: int
) -> list[OpenConversation]:
    """Return known people who wrote to a number after ``since``, or who have no answer.

    The newest comes first. A snooze does not count: a banned number answers nobody later.
    """
    rows = reader.all(
        "SELECT talks.contact, talks.last, p.id AS prospect, coalesce(p.name, '') AS name,"
        f" talks.contact NOT IN (SELECT contact FROM ({_UNANSWERED}) WHERE NOT courtesy)"
        " AS answered FROM (SELECT i.contact, max(i.at) AS last FROM inbound AS i"
        f" WHERE {ANSWERABLE.format(i='i')}"
        " AND i.session IN (SELECT name FROM sessions WHERE phone = :phone)"
        " GROUP BY i.contact) AS talks LEFT JOIN prospects AS p ON p.contact = talks.contact"
        f" WHERE {IS_KNOWN.format(contact='talks.contact')}"
        f" AND NOT {IS_CONTACT_SUPPRESSED.format(contact='talks.contact')}"
        " AND (last > :since OR NOT answered) ORDER BY last DESC LIMIT :limit",
        {
            "phone": phone,
            "since": format_timestamp(since),
            "limit": limit,
            "session": "",
            **_build_moments(since),
        },
    )
    return [
        OpenConversation(
            row["contact"],
            row["prospect"],
            row["name"],
            parse_timestamp(row["last"]),
            bool(row["answered"]),
        )
        for row in rows
    ]
