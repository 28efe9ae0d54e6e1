"""Checks a day from outside: SQL over the database file, and what people's phones received.

It imports nothing of the product, so that a mistake there is not believed here too.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ARRIVED_STATES = ("sent", "delivered", "read")
CERTAINLY_NOT_SENT_STATES = (
    *("queued", "cleared", "held", "deferred", "blocked", "failed", "cancelled", "expired"),
)

_IS_RELEASE = (
    "release.type = 'message.changed' AND json_extract(release.data, '$.state') = 'sending'"
)


@dataclass(frozen=True, slots=True)
class Inbox:
    """What a person's phone received, each as wire id and text, and what they wrote, if anything.

    ``refused`` is whether that said no to more messages, and ``opted_out`` to any.
    """

    number: str
    received: Sequence[tuple[str, str]]
    wrote: str = ""
    refused: bool = False
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """The database after the day, the inboxes, and the ids of all messages that were accepted."""

    database: sqlite3.Connection
    inboxes: Sequence[Inbox]
    accepted: Sequence[str]

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.database.execute(sql, parameters).fetchall()


def check_day(path: Path, inboxes: Sequence[Inbox], accepted: Sequence[str]) -> list[str]:
    """Return a sentence for each invariant that does not hold; none where all do."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        evidence = Evidence(database, inboxes, accepted)
        return [sentence for check in CHECKS for sentence in check(evidence)]


def find_lost_messages(day: Evidence) -> Iterator[str]:
    """I1: what was accepted is there, in a state; nothing is half on its way."""
    stored = {row["id"]: row["state"] for row in day.rows("SELECT id, state FROM messages")}
    for message in day.accepted:
        if message not in stored:
            yield f"{message} was accepted and is lost"
    for message, state in stored.items():
        if state == "sending":
            yield f"{message} is still on its way"


def find_repeated_arrivals(day: Evidence) -> Iterator[str]:
    """I2: nobody got one message twice."""
    for inbox in day.inboxes:
        for part in (0, 1):
            counts = Counter(each[part] for each in inbox.received)
            for what, count in counts.items():
                if count > 1:
                    yield f"{inbox.number} received {what!r} {count} times"


def find_false_states(day: Evidence) -> Iterator[str]:
    """What is called sent arrived, as it was written; what arrived is called so, or in doubt."""
    arrived = {(inbox.number, *each) for inbox in day.inboxes for each in inbox.received}
    texts = {(number, text) for number, _, text in arrived}
    known = set()
    for row in day.rows("SELECT id, recipient, wire_id, text, state FROM messages"):
        known.add((row["recipient"], row["text"]))
        if row["state"] in ARRIVED_STATES:
            if (row["recipient"], row["wire_id"], row["text"]) not in arrived:
                yield f"{row['id']} is {row['state']} and never arrived"
        elif row["state"] in CERTAINLY_NOT_SENT_STATES and (row["recipient"], row["text"]) in texts:
            yield f"{row['id']} is {row['state']} and arrived"
    for number, text in texts - known:
        yield f"{number} received what is no message of ours: {text!r}"


def find_unjudged_arrivals(day: Evidence) -> Iterator[str]:
    """I3: each that went had a permit, of an `allow` for that text and recipient, before it."""
    for row in day.rows(
        "SELECT messages.id, count(decisions.id) AS found FROM messages"
        " LEFT JOIN permits ON permits.message = messages.id"
        " LEFT JOIN decisions ON decisions.id = permits.decision"
        " AND decisions.message = messages.id AND decisions.verdict = 'allow'"
        " AND decisions.phase = 'release' AND decisions.body_hash = messages.body_hash"
        " AND decisions.recipient = messages.recipient"
        " AND permits.redeemed_at <= messages.sent_at"
        " WHERE messages.wire_id IS NOT NULL GROUP BY messages.id"
    ):
        if row["found"] == 0:
            yield f"{row['id']} went without an allow"


def find_messages_after_opt_out(day: Evidence) -> Iterator[str]:
    """I4: nothing is released to somebody after they were suppressed."""
    for row in day.rows("SELECT seq, subject FROM events WHERE type = 'contact.suppressed'"):
        for message, _ in _find_releases(day, row["subject"], row["seq"]):
            yield f"{message} was released to somebody who is suppressed"


def find_unheard_words(day: Evidence) -> Iterator[str]:
    """What people wrote is stored once; after a no, no offer goes; after a stop, nothing."""
    for inbox in day.inboxes:
        if not inbox.wrote:
            continue
        contact = _find_contact(day, inbox)
        found = day.rows(
            "SELECT events.seq FROM inbound JOIN events ON events.subject = inbound.id"
            " WHERE events.type = 'inbound.received' AND contact = ? AND text = ?",
            contact,
            inbox.wrote,
        )
        if len(found) != 1:
            yield f"{inbox.number} wrote once, and it is stored {len(found)} times"
            continue
        for message, kind in _find_releases(day, contact, found[0]["seq"]):
            if inbox.opted_out or (inbox.refused and kind == "commercial"):
                yield f"{message} was released after {inbox.number} said no"


def find_unsuppressed_people(day: Evidence) -> Iterator[str]:
    """Who opted out is suppressed, or stopped until a person has read it."""
    for inbox in day.inboxes:
        if inbox.opted_out and not day.rows(
            "SELECT 1 FROM contacts LEFT JOIN suppressions ON suppressions.contact = contacts.id"
            " WHERE contacts.id = ? AND (suppressions.at IS NOT NULL"
            " OR contacts.stopped_reason IS NOT NULL OR contacts.hold_scope IS NOT NULL)",
            _find_contact(day, inbox),
        ):
            yield f"{inbox.number} opted out and can be written to"


def find_new_chats_after_ban(day: Evidence) -> Iterator[str]:
    """After a ban nothing goes out by that phone, and no other begins a chat."""
    for row in day.rows(
        "SELECT messages.id, messages.session, messages.first_contact, ban.subject AS banned"
        " FROM events AS ban JOIN events AS release ON release.seq > ban.seq"
        " JOIN messages ON messages.id = release.subject"
        " WHERE ban.type = 'session.changed'"
        " AND json_extract(ban.data, '$.state') LIKE 'banned%'"
        f" AND {_IS_RELEASE}"
    ):
        if row["session"] == row["banned"]:
            yield f"{row['id']} was released by a banned phone"
        elif row["first_contact"]:
            yield f"{row['id']} began a chat after another phone was banned"


def find_uncounted_chats(day: Evidence) -> Iterator[str]:
    """Each chat that was begun is in the ledger of its number, once."""
    for row in day.rows(
        "SELECT messages.id, count(spends.id) AS counted FROM messages LEFT JOIN spends"
        " ON spends.message = messages.id AND spends.kind = 'new_chat'"
        " WHERE messages.first_contact AND messages.wire_id IS NOT NULL GROUP BY messages.id"
    ):
        if row["counted"] != 1:
            yield f"{row['id']} began a chat and is counted {row['counted']} times"


def find_broken_histories(day: Evidence) -> Iterator[str]:
    """The last line of each history is the message's state; each line follows the one before."""
    for row in day.rows(
        "SELECT id, state, (SELECT state FROM message_history WHERE message = messages.id"
        " ORDER BY id DESC LIMIT 1) AS last FROM messages"
    ):
        if row["state"] != row["last"]:
            yield f"{row['id']} is {row['state']}, and its history ends with {row['last']}"
    for row in day.rows(
        "SELECT message, state, previous, lag(state) OVER (PARTITION BY message ORDER BY id)"
        " AS before FROM message_history"
    ):
        if row["before"] is not None and row["previous"] != row["before"]:
            yield f"{row['message']} came to {row['state']} from nowhere"


CHECKS: Sequence[Callable[[Evidence], Iterator[str]]] = (
    find_lost_messages,
    find_repeated_arrivals,
    find_false_states,
    find_unjudged_arrivals,
    find_messages_after_opt_out,
    find_unheard_words,
    find_unsuppressed_people,
    find_new_chats_after_ban,
    find_uncounted_chats,
    find_broken_histories,
)


def _find_releases(day: Evidence, contact: str, after: int) -> list[tuple[str, str]]:
    """Return the messages to a contact that were handed to WhatsApp later, each with its kind.

    By the order in which both were committed: clocks of phones count whole seconds.
    """
    rows = day.rows(
        "SELECT messages.id, messages.kind FROM events AS release"
        " JOIN messages ON messages.id = release.subject"
        f" WHERE {_IS_RELEASE} AND messages.contact = ? AND release.seq > ?",
        contact,
        after,
    )
    return [(row["id"], row["kind"]) for row in rows]


def _find_contact(day: Evidence, inbox: Inbox) -> str:
    [row] = day.rows("SELECT contact FROM aliases WHERE alias = ?", inbox.number)
    return str(row["contact"])
