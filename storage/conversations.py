"""The tables of what the team does with chats: closed, snoozed, taken, drafts, and who has read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from storage.column_formats import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from storage.tx import Reader, Tx

_LAST_INBOUND: Final = (
    "(SELECT max(id) FROM inbound WHERE contact = :contact AND own = 0 AND conversation = 1"
    " AND past = 0)"
)


class ConversationRecord(Struct, frozen=True, kw_only=True):
    """What the team did with a chat.

    ``closed_after`` and ``snoozed_after`` are the last message of theirs then: a later one reopens
    the chat. ``taken_by`` said that it is theirs; ``writing_by`` types an answer until
    ``writing_until``.
    """

    contact: str
    closed_at: datetime | None = None
    closed_by: str | None = None
    closed_after: str | None = None
    snoozed_until: datetime | None = None
    snoozed_by: str | None = None
    snoozed_after: str | None = None
    taken_by: str | None = None
    writing_by: str | None = None
    writing_until: datetime | None = None

    def find_writer(self, now: datetime) -> str | None:
        """Return who types an answer at ``now``, or None."""
        over = self.writing_until is None or self.writing_until <= now
        return None if over else self.writing_by


def get_conversation(reader: Reader, contact: str) -> ConversationRecord:
    """Return what was done with a contact's chat; nothing where there is no row."""
    row = reader.one("SELECT * FROM conversations WHERE contact = ?", (contact,))
    if row is None:
        return ConversationRecord(contact=contact)
    return ConversationRecord(
        contact=row["contact"],
        closed_at=_read_time(row["closed_at"]),
        closed_by=row["closed_by"],
        closed_after=row["closed_after"],
        snoozed_until=_read_time(row["snoozed_until"]),
        snoozed_by=row["snoozed_by"],
        snoozed_after=row["snoozed_after"],
        taken_by=row["taken_by"],
        writing_by=row["writing_by"],
        writing_until=_read_time(row["writing_until"]),
    )


def _read_time(text: str | None) -> datetime | None:
    return parse_timestamp(text) if text else None


def get_last_inbound(reader: Reader, contact: str) -> str | None:
    """Return the id of the last message of theirs that could have an answer, or None."""
    found: str | None = reader.value(f"SELECT {_LAST_INBOUND}", {"contact": contact})
    return found


def close_conversation(tx: Tx, contact: str, *, who: str, at: datetime) -> None:
    """Close a chat for everybody, until they write again; a snooze ends with it."""
    _ensure_row(tx, contact)
    tx.execute(
        f"UPDATE conversations SET closed_at = :at, closed_by = :who,"
        f" closed_after = {_LAST_INBOUND}, snoozed_until = NULL, snoozed_by = NULL,"
        " snoozed_after = NULL WHERE contact = :contact",
        {"contact": contact, "who": who, "at": format_timestamp(at)},
    )


def reopen_conversation(tx: Tx, contact: str) -> None:
    """Undo the closing of a chat."""
    tx.execute(
        "UPDATE conversations SET closed_at = NULL, closed_by = NULL, closed_after = NULL"
        " WHERE contact = ?",
        (contact,),
    )


def snooze_conversation(tx: Tx, contact: str, *, who: str, until: datetime | None) -> None:
    """Let a chat wait for a time, or, with None, no longer; their next message ends it."""
    _ensure_row(tx, contact)
    tx.execute(
        "UPDATE conversations SET snoozed_until = :until, snoozed_by = iif(:until IS NULL, NULL,"
        f" :who), snoozed_after = iif(:until IS NULL, NULL, {_LAST_INBOUND})"
        " WHERE contact = :contact",
        {"contact": contact, "who": who, "until": until and format_timestamp(until)},
    )


def take_conversation(tx: Tx, contact: str, *, who: str | None) -> None:
    """Say whose chat it is, or nobody's."""
    _ensure_row(tx, contact)
    tx.execute("UPDATE conversations SET taken_by = ? WHERE contact = ?", (who, contact))


def set_writer(tx: Tx, contact: str, *, who: str | None, until: datetime | None) -> None:
    """Note who types an answer, and until when; None for nobody."""
    _ensure_row(tx, contact)
    tx.execute(
        "UPDATE conversations SET writing_by = ?, writing_until = ? WHERE contact = ?",
        (who, until and format_timestamp(until), contact),
    )


def store_draft(tx: Tx, contact: str, *, who: str, text: str, at: datetime) -> None:
    """Keep what a person has typed for a contact; an empty text deletes it."""
    if not text:
        tx.execute("DELETE FROM conversation_drafts WHERE contact = ? AND who = ?", (contact, who))
        return
    tx.execute(
        "INSERT INTO conversation_drafts (contact, who, text, changed_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET text = excluded.text, changed_at = excluded.changed_at",
        (contact, who, text, format_timestamp(at)),
    )


def get_draft(reader: Reader, contact: str, who: str) -> str:
    """Return what a person has typed for a contact; empty where there is nothing."""
    text = reader.value(
        "SELECT text FROM conversation_drafts WHERE contact = ? AND who = ?", (contact, who)
    )
    return str(text or "")


def mark_read(tx: Tx, contact: str, *, who: str, inbound: str | None) -> None:
    """Note up to which message of theirs a person has read; None: nothing, so it is unread."""
    if inbound is None:
        tx.execute("DELETE FROM conversation_reads WHERE contact = ? AND who = ?", (contact, who))
        return
    tx.execute(
        "INSERT INTO conversation_reads (contact, who, inbound) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET inbound = excluded.inbound",
        (contact, who, inbound),
    )


def merge_conversations(tx: Tx, *, elder: str, younger: str) -> None:
    """Give the elder contact the drafts of both; nothing of it is closed, snoozed or taken."""
    # What was closed in one chat says nothing of what came in in the other.
    tx.execute(
        "UPDATE OR IGNORE conversation_drafts SET contact = ? WHERE contact = ?", (elder, younger)
    )
    for table in ("conversations", "conversation_reads"):
        tx.execute(f"DELETE FROM {table} WHERE contact IN (?, ?)", (elder, younger))
    tx.execute("DELETE FROM conversation_drafts WHERE contact = ?", (younger,))


def _ensure_row(tx: Tx, contact: str) -> None:
    """Make sure that the contact has a row."""
    tx.execute("INSERT INTO conversations (contact) VALUES (?) ON CONFLICT DO NOTHING", (contact,))
