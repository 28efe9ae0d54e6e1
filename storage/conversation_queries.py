"""Reads chats for their lists and pages: lines of both sides, replies in trouble, who has read."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import LEFT_STATES, MAYBE_LEFT_STATES, WAITING_STATES, MessageState
from storage.column_formats import format_timestamp, parse_timestamp
from storage.outcomes import IS_STANDING, SILENT_OUTCOMES
from storage.sql_text import (
    build_searched_digits,
    format_number_search,
    format_sql_list,
    format_text_search,
)
from storage.suppressions import IS_CONTACT_SUPPRESSED
from storage.waiting import ANSWERABLE, IS_KNOWN

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from storage.tx import Reader

_SHOWN_STATES: Final = format_sql_list(
    MAYBE_LEFT_STATES | WAITING_STATES | {MessageState.FAILED, MessageState.BLOCKED}
)
_LAST_OURS: Final = (
    "(SELECT m.state FROM messages AS m WHERE m.contact = {contact}"
    f" AND m.state <> '{MessageState.CANCELLED}' ORDER BY m.id DESC LIMIT 1)"
)


class ChatTrouble(StrEnum):
    """What became of our last message to somebody, where a person has to look at it."""

    FAILED = "failed"
    IN_DOUBT = "in_doubt"


_TROUBLE: Final = format_sql_list(ChatTrouble)
_HAS_OUTCOME: Final = (
    "EXISTS (SELECT 1 FROM outcomes AS o WHERE o.contact = {contact}"
    f" AND o.outcome NOT IN {format_sql_list(SILENT_OUTCOMES)} AND {IS_STANDING})"
)
_IS_CLOSED_WITHOUT_OUTCOME: Final = (
    f"c.closed_after >= i.last AND {IS_KNOWN.format(contact='i.contact')}"
    f" AND NOT {IS_CONTACT_SUPPRESSED.format(contact='i.contact')}"
    f" AND NOT {_HAS_OUTCOME.format(contact='i.contact')}"
)
_PHONE: Final = (
    "coalesce((SELECT m.recipient FROM messages AS m WHERE m.contact = {contact}"
    " AND m.recipient <> '' ORDER BY m.id DESC LIMIT 1), (SELECT a.alias FROM aliases AS a"
    " WHERE a.contact = {contact} AND a.kind = 'phone' ORDER BY length(a.alias) DESC LIMIT 1), '')"
)
_ROWS: Final = (
    "SELECT chosen.value AS contact, i.id AS last_id, i.at, i.text, p.id AS prospect,"
    " coalesce(p.name, '') AS name,"
    f" coalesce(nullif(p.phone, ''), {_PHONE.format(contact='chosen.value')}) AS phone,"
    f" {IS_KNOWN.format(contact='chosen.value')} AS known,"
    f" {_LAST_OURS.format(contact='chosen.value')} AS our_last_state,"
    " i.id > coalesce(r.inbound, '') AS unread, c.closed_by, c.closed_after, c.snoozed_until,"
    " c.taken_by, c.writing_by, c.writing_until FROM json_each(:contacts) AS chosen"
    " JOIN inbound AS i ON i.id = (SELECT max(x.id) FROM inbound AS x"
    f" WHERE x.contact = chosen.value AND {ANSWERABLE.format(i='x')})"
    " LEFT JOIN prospects AS p ON p.contact = chosen.value"
    " LEFT JOIN conversations AS c ON c.contact = chosen.value"
    " LEFT JOIN conversation_reads AS r ON r.contact = chosen.value AND r.who = :who"
    " ORDER BY chosen.key"
)


class ChatLine(Struct, frozen=True, kw_only=True):
    """One message of a chat. ``theirs``: they wrote it.

    Ours has a state, with a sentence and who asked for it; without a state it was typed on the
    phone itself, or sent by a former system. ``not_before``: until then it can be taken back.
    """

    id: str
    at: datetime
    theirs: bool
    text: str
    kind: str
    request: str = ""
    state: MessageState | None = None
    sentence: str = ""
    who: str = ""
    not_before: datetime | None = None

    @property
    def position(self) -> str:
        """Return the part of the id that sorts lines by when they were stored."""
        return self.id.partition("_")[2]

    def __repr__(self) -> str:
        """Keep the text out of logs."""
        return f"ChatLine({self.id!r})"


class ChatRow(Struct, frozen=True, kw_only=True):
    """A chat as its row in a list is read; ``last_at`` and ``last_text`` are of their last message.

    ``closed_by`` is None where they wrote after the chat was closed.
    """

    contact: str
    prospect: str | None
    name: str
    phone: str
    last_at: datetime
    last_text: str
    known: bool
    unread: bool
    trouble: ChatTrouble | None
    closed_by: str | None
    snoozed_until: datetime | None
    taken_by: str | None
    writing_by: str | None
    writing_until: datetime | None

    def __repr__(self) -> str:
        """Keep number and text out of logs."""
        return f"ChatRow({self.contact!r})"


def list_rows(reader: Reader, contacts: Sequence[str], who: str) -> list[ChatRow]:
    """Return the rows of these chats in this order, by one query; who never wrote has none.

    ``who`` is the reader, whose own ``unread`` it is.
    """
    rows = reader.all(_ROWS, {"contacts": json.dumps(list(contacts)), "who": who})
    return [_chat_from_row(row) for row in rows]


def search_known_chats(reader: Reader, text: str, numbers: Sequence[str] = ()) -> set[str]:
    """Return the known people whose name, number or words, or ours to them, contain a text.

    Accents make no difference. A text that is a number is searched for in any notation;
    ``numbers`` are the digits of its other spellings.
    """
    phone = f"coalesce(nullif(p.phone, ''), {_PHONE.format(contact='i.contact')})"
    rows = reader.all(
        "SELECT DISTINCT i.contact FROM inbound AS i LEFT JOIN prospects AS p"
        f" ON p.contact = i.contact WHERE {ANSWERABLE.format(i='i')}"
        f" AND {IS_KNOWN.format(contact='i.contact')}"
        f" AND ({format_text_search(':text', 'i.text', 'coalesce(p.name, char(10))')}"
        f" OR {format_number_search(phone)}"
        " OR EXISTS (SELECT 1 FROM messages AS o WHERE o.contact = i.contact"
        f" AND {format_text_search(':text', 'o.text')}))",
        {"text": text, "digits": build_searched_digits(text, numbers)},
    )
    return {row["contact"] for row in rows}


def list_lines(reader: Reader, contact: str, limit: int = 200) -> list[ChatLine]:
    """Return the latest lines of a chat, oldest first; ours too where they still wait."""
    rows = reader.all(
        "SELECT * FROM (SELECT id, at, own = 0 AS theirs, text, kind, request, NULL AS state,"
        " '' AS sentence, '' AS who, NULL AS not_before FROM inbound WHERE contact = :contact"
        " UNION ALL SELECT id, coalesce(sent_at, created_at), 0, text, 'text', '', state, sentence,"
        " (SELECT h.who FROM message_history AS h WHERE h.message = messages.id ORDER BY h.id"
        " LIMIT 1), not_before FROM messages WHERE contact = :contact"
        f" AND state IN {_SHOWN_STATES})"
        " ORDER BY at DESC, id DESC LIMIT :limit",
        {"contact": contact, "limit": limit},
    )
    return [_line_from_row(row) for row in reversed(rows)]


def has_written(reader: Reader, contact: str) -> bool:
    """Return whether there is a message of theirs that could have an answer."""
    found: int = reader.value(
        "SELECT EXISTS (SELECT 1 FROM inbound AS i WHERE contact = ?"
        f" AND {ANSWERABLE.format(i='i')})",
        (contact,),
    )
    return bool(found)


def is_known(reader: Reader, contact: str) -> bool:
    """Return whether a contact is a prospect, or somebody we wrote to."""
    found: int = reader.value(f"SELECT {IS_KNOWN.format(contact=':contact')}", {"contact": contact})
    return bool(found)


def find_phone(reader: Reader, contact: str) -> str:
    """Return a number of a contact: the last one we wrote to, else one of its aliases."""
    phone: str = reader.value(f"SELECT {_PHONE.format(contact=':contact')}", {"contact": contact})
    return phone


def find_last_session(reader: Reader, contact: str) -> str | None:
    """Return the session that they wrote to last, unless it was deleted."""
    found: str | None = reader.value(
        f"SELECT i.session FROM inbound AS i JOIN sessions AS s ON s.name = i.session"
        f" WHERE i.contact = ? AND s.deleted_at IS NULL AND {ANSWERABLE.format(i='i')}"
        " ORDER BY i.id DESC LIMIT 1",
        (contact,),
    )
    return found


def get_last_left_time(reader: Reader) -> datetime | None:
    """Return when the last message of ours to anybody left, or None."""
    return _parse_optional(
        reader.value(
            "SELECT max(coalesce(sent_at, changed_at)) FROM messages"
            f" WHERE state IN {format_sql_list(LEFT_STATES)}"
        )
    )


def find_trouble(reader: Reader, contact: str) -> ChatTrouble | None:
    """Return the trouble that our last message to somebody is in, or None."""
    state = reader.value(f"SELECT {_LAST_OURS.format(contact=':contact')}", {"contact": contact})
    return ChatTrouble(state) if state in set(ChatTrouble) else None


def list_troubled_contacts(reader: Reader) -> set[str]:
    """Return everybody whose last message of ours failed or is in doubt."""
    rows = reader.all(
        f"SELECT DISTINCT t.contact FROM messages AS t WHERE t.state IN {_TROUBLE}"
        f" AND {_LAST_OURS.format(contact='t.contact')} IN {_TROUBLE}"
    )
    return {row["contact"] for row in rows}


def list_taken_contacts(reader: Reader, who: str, limit: int = 500) -> list[str]:
    """Return the chats that somebody said are theirs and that are open, the newest first."""
    return _list_contacts(
        reader, "c.taken_by = :who AND (c.closed_after IS NULL OR c.closed_after < i.last)",
        who=who, limit=limit,
    )  # fmt: skip


def list_snoozed_contacts(reader: Reader, now: datetime, limit: int = 500) -> list[str]:
    """Return the chats that are snoozed at ``now``, the newest first."""
    return _list_contacts(
        reader, "c.snoozed_until > :now AND i.last <= c.snoozed_after",
        now=format_timestamp(now), limit=limit,
    )  # fmt: skip


def list_chats_without_outcome(reader: Reader, limit: int = 500) -> list[str]:
    """Return the known people whose chat was closed though nobody said what came of it.

    The newest comes first. Who opted out is not among them: that is an answer.
    """
    return _list_contacts(reader, _IS_CLOSED_WITHOUT_OUTCOME, limit=limit)


def list_known_chats(reader: Reader, limit: int = 2000) -> list[str]:
    """Return every known person who wrote to us, the newest first."""
    return _list_contacts(reader, IS_KNOWN.format(contact="i.contact"), limit=limit)


def _list_contacts(reader: Reader, where: str, **values: object) -> list[str]:
    rows = reader.all(
        "SELECT i.contact FROM (SELECT contact, max(id) AS last FROM inbound AS i"
        f" WHERE {ANSWERABLE.format(i='i')} GROUP BY contact) AS i"
        f" LEFT JOIN conversations AS c ON c.contact = i.contact WHERE {where}"
        " ORDER BY i.last DESC LIMIT :limit",
        values,
    )
    return [row["contact"] for row in rows]


def _chat_from_row(row: sqlite3.Row) -> ChatRow:
    state = row["our_last_state"]
    closed = row["closed_after"] is not None and row["last_id"] <= row["closed_after"]
    return ChatRow(
        contact=row["contact"],
        prospect=row["prospect"],
        name=row["name"],
        phone=row["phone"],
        last_at=parse_timestamp(row["at"]),
        last_text=row["text"],
        known=bool(row["known"]),
        unread=bool(row["unread"]),
        trouble=ChatTrouble(state) if state in set(ChatTrouble) else None,
        closed_by=row["closed_by"] if closed else None,
        snoozed_until=_parse_optional(row["snoozed_until"]),
        taken_by=row["taken_by"],
        writing_by=row["writing_by"],
        writing_until=_parse_optional(row["writing_until"]),
    )


def _parse_optional(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None


def _line_from_row(row: sqlite3.Row) -> ChatLine:
    return ChatLine(
        id=row["id"],
        at=parse_timestamp(row["at"]),
        theirs=bool(row["theirs"]),
        text=row["text"],
        kind=row["kind"],
        request=row["request"],
        state=MessageState(row["state"]) if row["state"] else None,
        sentence=row["sentence"],
        who=row["who"],
        not_before=_parse_optional(row["not_before"]),
    )
