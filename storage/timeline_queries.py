"""Reads a contact's conversation, message history and score changes for the console's timeline."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import LEFT_OR_UNCERTAIN_STATES, PASSING_STATES, MessageState
from storage.column_formats import parse_timestamp
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    from storage.tx import Reader


_LEFT_OR_UNCERTAIN: Final = format_sql_list(LEFT_OR_UNCERTAIN_STATES)
_PASSING: Final = format_sql_list(PASSING_STATES)


class ConversationEntry(Struct, frozen=True):
    """One message of a conversation.

    `ours` without `state`: typed on the phone itself or, if `imported`, sent by a former system.
    """

    at: datetime
    ours: bool
    text: str
    state: MessageState | None = None
    kind: str = "text"
    imported: bool = False

    def __repr__(self) -> str:
        """Keep the body out of logs."""
        return f"ConversationEntry({self.at}, {'ours' if self.ours else 'theirs'})"


class MessageHistoryRecord(Struct, frozen=True):
    """One transition of one of the contact's messages."""

    message: str
    at: datetime
    state: MessageState
    reason_code: str
    sentence: str
    who: str


class ScoreChange(Struct, frozen=True):
    """A prospect's new score, since when, and the explanation."""

    at: datetime
    score: int
    sentence: str


def list_conversation(reader: Reader, contact: str, limit: int = 12) -> list[ConversationEntry]:
    """Return the latest messages of both sides, oldest first; ours only if they may have left."""
    rows = reader.all(
        "SELECT at, own AS ours, text, NULL AS state, kind, origin = 'imported' AS imported"
        " FROM inbound WHERE contact = :contact"
        " UNION ALL SELECT coalesce(sent_at, changed_at), 1, text, state, 'text', 0 FROM messages"
        f" WHERE contact = :contact AND state IN {_LEFT_OR_UNCERTAIN}"
        " ORDER BY at DESC LIMIT :limit",
        {"contact": contact, "limit": limit},
    )
    return [
        ConversationEntry(
            parse_timestamp(row["at"]),
            bool(row["ours"]),
            row["text"],
            MessageState(row["state"]) if row["state"] else None,
            row["kind"],
            bool(row["imported"]),
        )
        for row in reversed(rows)
    ]


def list_contact_message_history(
    reader: Reader, contact: str, limit: int = 60
) -> list[MessageHistoryRecord]:
    """Return the latest transitions of a contact's messages, oldest first, without passing ones."""
    # An approval leads to a passing state, and people want to see it.
    rows = reader.all(
        "SELECT h.* FROM message_history AS h JOIN messages AS m ON m.id = h.message"
        f" WHERE m.contact = ? AND (h.state NOT IN {_PASSING}"
        " OR h.reason_code = 'approved')"
        " ORDER BY h.id DESC LIMIT ?",
        (contact, limit),
    )
    return [
        MessageHistoryRecord(
            row["message"],
            parse_timestamp(row["at"]),
            MessageState(row["state"]),
            row["reason_code"],
            row["sentence"],
            row["who"],
        )
        for row in reversed(rows)
    ]


def list_score_changes(reader: Reader, prospect: str) -> list[ScoreChange]:
    """Return the changes of a prospect's score, oldest first, as far back as events are kept."""
    # An event repeats the score also where something else changed; `lag` drops the repetitions.
    rows = reader.all(
        "SELECT at, score, sentence FROM (SELECT seq, at,"
        " json_extract(data, '$.score_contactabilidad') AS score,"
        " json_extract(data, '$.sentence') AS sentence,"
        " lag(json_extract(data, '$.score_contactabilidad')) OVER (ORDER BY seq) AS before"
        " FROM events WHERE type = 'prospect.changed' AND subject = ?)"
        " WHERE score IS NOT NULL AND score IS NOT before ORDER BY seq",
        (prospect,),
    )
    return [ScoreChange(parse_timestamp(row["at"]), row["score"], row["sentence"]) for row in rows]
