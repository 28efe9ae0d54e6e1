"""Counts and lists for the console: message search, waiting counts, activity, funnel, firings."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from statemachines.message import LEFT_STATES, MessageState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.inbound_reviews import WAITING_INBOUND
from storage.messages import MessageRecord, message_from_row
from storage.sql_text import (
    build_searched_digits,
    format_number_search,
    format_sql_list,
    format_text_search,
)

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader


_LEFT = format_sql_list(LEFT_STATES)
_DELIVERED = format_sql_list({MessageState.DELIVERED, MessageState.READ})
_HAS_TEXT = format_text_search(":text", "m.text", "coalesce(p.name, '')")


class ListedMessage(Struct, frozen=True):
    """A message and the name of its recipient; the name is empty where none is known."""

    message: MessageRecord
    name: str


class WaitingCount(Struct, frozen=True):
    """How many of something wait, and since when the first of them does."""

    count: int
    since: datetime | None


class SessionActivity(Struct, frozen=True):
    """What a session sent since a moment: messages, to how many people, and how many answered."""

    sent: int
    people: int
    answered: int


class MessageFunnel(Struct, frozen=True):
    """How many of the messages enqueued since a moment reached each step."""

    asked: int
    allowed: int
    sent: int
    delivered: int
    read: int
    answered: int


def search_messages(
    reader: Reader,
    *,
    states: Sequence[MessageState] = (),
    text: str = "",
    session: str = "",
    ids: Sequence[str] | None = None,
    after: str = "",
    limit: int = 50,
) -> list[ListedMessage]:
    """Return messages, newest first, past the id `after`; of `ids` alone, if given.

    `text` is part of a name or of a message's text, with accents or without, or of a number (three
    digits or more); or an id.
    """
    places = {f"state{place}": state.value for place, state in enumerate(states)}
    in_states = f"m.state IN ({', '.join(f':{place}' for place in places)})" if places else "1"
    rows = reader.all(
        "SELECT m.*, coalesce(p.name, '') AS prospect_name FROM messages AS m"
        f" LEFT JOIN prospects AS p ON p.contact = m.contact WHERE {in_states}"
        " AND (:session = '' OR m.session = :session) AND (:after = '' OR m.id < :after)"
        " AND (:ids IS NULL OR m.id IN (SELECT value FROM json_each(:ids)))"
        f" AND (m.id = :text OR {_HAS_TEXT} OR {format_number_search('m.recipient')})"
        " ORDER BY m.id DESC LIMIT :limit",
        {
            **places,
            "session": session,
            "after": after,
            "text": text,
            "ids": None if ids is None else json.dumps(list(ids)),
            "digits": build_searched_digits(text),
            "limit": limit,
        },
    )
    return [ListedMessage(message_from_row(row), row["prospect_name"]) for row in rows]


def get_prospect_name(reader: Reader, contact: str) -> str:
    """Return the name of a contact's prospect; empty where there is none."""
    return reader.value("SELECT name FROM prospects WHERE contact = ?", (contact,)) or ""


def count_messages_in_states(
    reader: Reader, states: Collection[MessageState], *, channel: str = ""
) -> WaitingCount:
    """Return how many messages are in any of these states, and since when the first is."""
    marks = ", ".join("?" for _ in states)
    row = reader.one(
        "SELECT count(*) AS n, min(changed_at) AS since FROM messages"
        f" WHERE state IN ({marks}) AND (? = '' OR channel = ?)",
        (*(state.value for state in states), channel, channel),
    )
    return waiting_count_from_row(row)


def count_session_messages(reader: Reader, session: str, states: Collection[MessageState]) -> int:
    """Return how many messages of a session are in any of these states."""
    marks = ", ".join("?" for _ in states)
    n: int = reader.value(
        f"SELECT count(*) FROM messages WHERE session = ? AND state IN ({marks})",
        (session, *(state.value for state in states)),
    )
    return n


def get_session_activity(reader: Reader, session: str, since: datetime) -> SessionActivity:
    """Return what a session sent since then, and how many of the recipients wrote afterwards."""
    row = reader.one(
        "SELECT count(*) AS sent, count(DISTINCT contact) AS people,"
        " count(DISTINCT CASE WHEN EXISTS (SELECT 1 FROM inbound AS i WHERE i.contact = m.contact"
        " AND i.own = 0 AND i.conversation = 1 AND i.at >= m.sent_at) THEN contact END) AS answered"
        " FROM messages AS m WHERE session = ? AND sent_at >= ?",
        (session, format_timestamp(since)),
    )
    return SessionActivity(*tuple(row)) if row else SessionActivity(0, 0, 0)


def count_quarantined_signals(reader: Reader) -> WaitingCount:
    """Return how many signals could not be stored and wait for a person, and since when."""
    return waiting_count_from_row(
        reader.one(
            "SELECT count(*) AS n, min(received_at) AS since FROM quarantined_signals"
            " WHERE settled_at IS NULL"
        )
    )


def count_unread_inbound(reader: Reader) -> WaitingCount:
    """Return how many messages of contacts a person has to read, and since when."""
    return waiting_count_from_row(
        reader.one(f"SELECT count(*) AS n, min(r.asked_at) AS since FROM {WAITING_INBOUND}")
    )


def waiting_count_from_row(row: sqlite3.Row | None) -> WaitingCount:
    """Turn a row with `n` and `since` into a count."""
    if row is None or row["since"] is None:
        return WaitingCount(0, None)
    return WaitingCount(row["n"], parse_timestamp(row["since"]))


def get_message_funnel(reader: Reader, since: datetime) -> MessageFunnel:
    """Return how many messages enqueued since then reached each step; read implies delivered."""
    # `allowed` comes from the history: a message that went on is not `cleared` any more.
    row = reader.one(
        "SELECT count(*) AS asked,"
        " coalesce(sum(EXISTS (SELECT 1 FROM message_history AS h WHERE h.message = m.id"
        f" AND h.state = '{MessageState.CLEARED}')), 0) AS allowed,"
        f" coalesce(sum(state IN {_LEFT}), 0) AS sent,"
        f" coalesce(sum(state IN {_DELIVERED}), 0) AS delivered,"
        f" coalesce(sum(state = '{MessageState.READ}'), 0) AS read,"
        f" coalesce(sum(state IN {_LEFT} AND EXISTS (SELECT 1 FROM inbound AS i"
        " WHERE i.contact = m.contact AND i.own = 0 AND i.conversation = 1"
        " AND i.at >= coalesce(m.sent_at, m.changed_at))), 0) AS answered"
        " FROM messages AS m WHERE created_at >= ?",
        (format_timestamp(since),),
    )
    return MessageFunnel(*tuple(row)) if row else MessageFunnel(0, 0, 0, 0, 0, 0)


class RuleFirings(Struct, frozen=True):
    """On how many messages a gate rule fired, in a shorter and in a longer stretch of time."""

    lately: int
    longer: int


NO_FIRINGS = RuleFirings(0, 0)


def count_gate_rule_firings(
    reader: Reader, *, lately: datetime, longer: datetime
) -> dict[str, RuleFirings]:
    """Return for each rule on how many messages it fired since each of the two moments."""
    # A message is judged twice and more, hence DISTINCT: it counts once for a rule.
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
    """Return for each score rule how many prospects' present score it contributes to."""
    rows = reader.all(
        "SELECT json_extract(c.value, '$.id') AS rule, sum(p.n) AS n FROM"
        " (SELECT score_explanation AS id, count(*) AS n FROM prospects GROUP BY id) AS p"
        " JOIN score_explanations AS e ON e.id = p.id,"
        " json_each(e.document, '$.contributions') AS c GROUP BY rule"
    )
    return {row["rule"]: row["n"] for row in rows}
