"""The `inbound_reviews` table: messages of contacts that a person reads, and what they mean."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import WAITING_STATES
from storage.column_formats import format_timestamp, parse_timestamp
from storage.sql_text import format_sql_list

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from storage.tx import Reader, Tx


class ReviewCause(StrEnum):
    """Why a person reads a message, in the order of the list."""

    COMPLAINT = "complaint"
    MINOR = "minor"
    DECEASED = "deceased"
    WRONG_PERSON = "wrong_person"
    MAY_ASK_TO_STOP = "may_ask_to_stop"
    ABOUT_US = "about_us"
    NOT_UNDERSTOOD = "not_understood"
    OPT_OUT = "opt_out"
    """It was read as an opt-out and obeyed; a person may correct that."""


STOP_CAUSES: Final = frozenset({ReviewCause.MINOR, ReviewCause.DECEASED})
"""What stops everything to the contact until a person has decided."""


class Meaning(StrEnum):
    """What a message means, as a person says who read it."""

    WELCOME = "welcome"
    NO = "no"
    NEITHER = "neither"
    SUPPRESS = "suppress"
    """A no, and nobody writes to them again."""
    MINOR = "minor"
    DECEASED = "deceased"
    NUMBER_CHANGED_OWNER = "number_changed_owner"
    THIRD_PARTY = "third_party"


class InboundReview(Struct, frozen=True, kw_only=True):
    """One message that a person reads. ``sentence`` says why, ``quote`` has the words for it.

    ``listed``: the whole message is a word of the operator's list. ``meaning``, ``who``, ``reason``
    and ``classified_at`` are None until a person has said what it means.
    """

    inbound: str
    contact: str
    cause: ReviewCause
    sentence: str
    quote: str
    listed: bool
    asked_at: datetime
    meaning: Meaning | None = None
    who: str | None = None
    reason: str | None = None
    classified_at: datetime | None = None

    def __repr__(self) -> str:
        """Keep the words out of logs."""
        return f"InboundReview({self.inbound!r}, {self.cause.value}, {self.meaning})"


class InboundForReview(Struct, frozen=True, kw_only=True):
    """A message that a person reads or has read, with who wrote it.

    ``sentence`` says why, ``quote`` has the words for it; ``waiting_messages`` is how many of ours
    wait for them. ``session`` is empty for a message to a former system. ``meaning`` is None until
    a person has said what it means.
    """

    id: str
    contact: str
    prospect: str | None
    name: str
    phone: str
    session: str
    kind: str
    cause: ReviewCause
    sentence: str
    quote: str
    text: str
    listed: bool
    written_at: datetime
    asked_at: datetime
    waiting_messages: int
    meaning: Meaning | None
    who: str | None
    classified_at: datetime | None

    def __repr__(self) -> str:
        """Keep number and words out of logs."""
        return f"InboundForReview({self.id!r}, {self.cause.value})"


_OPT_OUT: Final = f"r.cause = '{ReviewCause.OPT_OUT}'"
_WAITS: Final = f"r.meaning IS NULL AND NOT {_OPT_OUT}"
_WAITING_STATES: Final = format_sql_list(WAITING_STATES)
# A stranger's words are nobody's to read: only people whom we know are listed.
_IS_KNOWN: Final = (
    "(p.id IS NOT NULL OR EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = r.contact))"
)
_IS_CORRECTABLE: Final = (
    f"r.meaning IS NULL AND {_OPT_OUT} AND NOT r.listed AND EXISTS (SELECT 1 FROM suppressions"
    " AS s WHERE s.contact = r.contact AND s.lifted_at IS NULL)"
)
_TABLES: Final = (
    "inbound_reviews AS r JOIN inbound AS i ON i.id = r.inbound"
    " LEFT JOIN prospects AS p ON p.contact = r.contact"
)
_LISTED_COLUMNS: Final = (
    "r.*, coalesce(i.session, '') AS session, i.kind, i.text, i.at AS written_at, p.id AS prospect,"
    " coalesce(p.name, '') AS name, coalesce(p.phone, (SELECT m.recipient FROM messages AS m"
    " WHERE m.contact = r.contact ORDER BY m.id DESC LIMIT 1), '') AS phone,"
    " (SELECT count(*) FROM messages AS m WHERE m.contact = r.contact"
    f" AND m.state IN {_WAITING_STATES}) AS waiting_messages"
)
_CAUSE_RANK: Final = "CASE r.cause {} END".format(
    " ".join(f"WHEN '{cause}' THEN {rank}" for rank, cause in enumerate(ReviewCause))
)

WAITING_INBOUND: Final = f"{_TABLES} WHERE {_WAITS} AND {_IS_KNOWN}"
"""SQL of a FROM clause for the messages ``r`` that wait for a person to read them."""

HAS_UNREAD_WORDS: Final = (
    f"EXISTS (SELECT 1 FROM inbound_reviews AS r WHERE r.contact = {{contact}} AND {_WAITS})"
)
"""SQL for whether a person has to read what a contact wrote; ``{contact}`` is a column."""


def insert_inbound_review(tx: Tx, review: InboundReview) -> None:
    """Store that a person should read a message, or may correct how it was read."""
    tx.execute(
        "INSERT INTO inbound_reviews (inbound, contact, cause, sentence, quote, listed, asked_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            review.inbound,
            review.contact,
            review.cause,
            review.sentence,
            review.quote,
            review.listed,
            format_timestamp(review.asked_at),
        ),
    )


def get_inbound_review(reader: Reader, inbound: str) -> InboundReview | None:
    """Return the review of a message, or None where nobody is to read it."""
    row = reader.one("SELECT * FROM inbound_reviews WHERE inbound = ?", (inbound,))
    return None if row is None else _review_from_row(row)


def has_unread_words(reader: Reader, contact: str) -> bool:
    """Return whether a person has to read what the contact wrote."""
    found: int = reader.value(
        f"SELECT {HAS_UNREAD_WORDS.format(contact=':contact')}", {"contact": contact}
    )
    return bool(found)


def list_contact_reviews(reader: Reader, contact: str) -> list[InboundReview]:
    """Return all reviews of a contact's messages, in the order of the list."""
    rows = reader.all(
        f"SELECT r.* FROM inbound_reviews AS r WHERE r.contact = ?"
        f" ORDER BY {_CAUSE_RANK}, r.asked_at, r.inbound",
        (contact,),
    )
    return [_review_from_row(row) for row in rows]


def list_waiting_reviews(reader: Reader, limit: int) -> list[InboundForReview]:
    """Return the messages that wait for a person: complaints first, then the longest waiting."""
    return _list_reviews(reader, f"{_WAITS} AND {_IS_KNOWN}", limit)


def count_waiting_reviews(reader: Reader) -> int:
    """Return how many messages wait for a person to read them."""
    n: int = reader.value(f"SELECT count(*) FROM {WAITING_INBOUND}")
    return n


def list_correctable_reviews(reader: Reader, limit: int) -> list[InboundForReview]:
    """Return the messages that were read as an opt-out in force, which a person may correct."""
    return _list_reviews(reader, f"{_IS_CORRECTABLE} AND {_IS_KNOWN}", limit)


def list_answered_reviews(
    reader: Reader, meanings: Collection[Meaning], causes: Collection[ReviewCause], limit: int
) -> list[InboundForReview]:
    """Return messages with one of these answers and causes, the latest answer first."""
    rows = reader.all(
        f"SELECT {_LISTED_COLUMNS} FROM {_TABLES}"
        f" WHERE r.meaning IN {format_sql_list(meanings)} AND r.cause IN {format_sql_list(causes)}"
        f" AND {_IS_KNOWN} ORDER BY r.classified_at DESC, r.inbound LIMIT ?",
        (limit,),
    )
    return [_listed_from_row(row) for row in rows]


def get_inbound_for_review(reader: Reader, inbound: str) -> InboundForReview | None:
    """Return a message that a person reads or has read, by its id, or None."""
    row = reader.one(f"SELECT {_LISTED_COLUMNS} FROM {_TABLES} WHERE r.inbound = ?", (inbound,))
    return None if row is None else _listed_from_row(row)


def delete_imported_reviews(
    tx: Tx, contact: str, causes: Collection[ReviewCause], before: datetime
) -> list[str]:
    """Delete what nobody has to read any more of a contact's messages to a former system.

    These are the unread ones with one of these causes that were written before a moment. Returns
    the sentences that said why a person was to read them.
    """
    unread = (
        "contact = :contact AND meaning IS NULL"
        f" AND cause IN {format_sql_list(causes)} AND inbound IN (SELECT id FROM inbound"
        " WHERE contact = :contact AND origin = 'imported' AND at < :before)"
    )
    values = {"contact": contact, "before": format_timestamp(before)}
    rows = tx.all(f"SELECT DISTINCT sentence FROM inbound_reviews WHERE {unread}", values)
    tx.execute(f"DELETE FROM inbound_reviews WHERE {unread}", values)
    return [row["sentence"] for row in rows]


def classify_inbound_review(
    tx: Tx, inbound: str, meaning: Meaning, *, who: str, reason: str, at: datetime
) -> None:
    """Store what a person says that a message means."""
    tx.execute(
        "UPDATE inbound_reviews SET meaning = ?, who = ?, reason = ?, classified_at = ?"
        " WHERE inbound = ?",
        (meaning, who, reason, format_timestamp(at), inbound),
    )


def _list_reviews(reader: Reader, where: str, limit: int) -> list[InboundForReview]:
    rows = reader.all(
        f"SELECT {_LISTED_COLUMNS} FROM {_TABLES} WHERE {where}"
        f" ORDER BY {_CAUSE_RANK}, r.asked_at, r.inbound LIMIT ?",
        (limit,),
    )
    return [_listed_from_row(row) for row in rows]


def _listed_from_row(row: sqlite3.Row) -> InboundForReview:
    review = _review_from_row(row)
    return InboundForReview(
        id=review.inbound,
        contact=review.contact,
        prospect=row["prospect"],
        name=row["name"],
        phone=row["phone"],
        session=row["session"],
        kind=row["kind"],
        cause=review.cause,
        sentence=review.sentence,
        quote=review.quote,
        text=row["text"],
        listed=review.listed,
        written_at=parse_timestamp(row["written_at"]),
        asked_at=review.asked_at,
        waiting_messages=row["waiting_messages"],
        meaning=review.meaning,
        who=review.who,
        classified_at=review.classified_at,
    )


def _review_from_row(row: sqlite3.Row) -> InboundReview:
    return InboundReview(
        inbound=row["inbound"],
        contact=row["contact"],
        cause=ReviewCause(row["cause"]),
        sentence=row["sentence"],
        quote=row["quote"],
        listed=bool(row["listed"]),
        asked_at=parse_timestamp(row["asked_at"]),
        meaning=Meaning(row["meaning"]) if row["meaning"] else None,
        who=row["who"],
        reason=row["reason"],
        classified_at=parse_timestamp(row["classified_at"]) if row["classified_at"] else None,
    )
