"""Lists what waits for a person's review: messages, prospects, and numbers no check can settle."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from statemachines.message import MessageState
from statemachines.prospect import CHECKABLE_STATES, ValidationState
from statemachines.vocabulary import BuiltinChannel
from storage import prospect_reviews
from storage.column_formats import format_timestamp, parse_timestamp
from storage.console_queries import ListedMessage, WaitingCount, waiting_count_from_row
from storage.inbound_reviews import HAS_UNREAD_WORDS, count_waiting_reviews
from storage.messages import MessageRecord, message_from_row
from storage.prospect_reviews import CURRENT_PROSPECT_REVIEW
from storage.prospects import ProspectRecord, prospect_from_row
from storage.queue import NEEDS_REVIEW
from storage.sql_text import format_sql_list
from storage.suppressions import IS_CONTACT_SUPPRESSED
from storage.validation_queries import WAITS_FOR_CHECK

if TYPE_CHECKING:
    import sqlite3

    from storage.tx import Reader


MAX_UNKNOWN_ANSWERS: Final = 3
"""After so many checks without an answer a person has to decide."""

STILL_UNKNOWN_SENTENCE: Final = "Three checks could not tell whether the number is on WhatsApp"
LANDLINE_SENTENCE: Final = (
    "It is a landline: only a person can find out whether it answers on WhatsApp."
)
UNCHECKED_SENTENCE: Final = "Nobody has checked or validated the number yet."
"""The sentences for a number that waits for a person, where its message has none."""

_FIXED_LINE: Final = "fixed_line"
_OUT_OF_REACH: Final = format_sql_list({ValidationState.NOT_REACHABLE, ValidationState.ERASED})
_IS_SUPPRESSED: Final = IS_CONTACT_SUPPRESSED.format(contact="p.contact")
_MAY_BE_WRITTEN_TO: Final = f"p.permission NOT IN ('none', 'refused') AND NOT {_IS_SUPPRESSED}"
_NO_MESSAGE_NEEDS_REVIEW: Final = (
    f"NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = p.contact AND {NEEDS_REVIEW})"
)
_WAITS_UNCHECKED: Final = f"{WAITS_FOR_CHECK} AND m.blocked_by IS NOT NULL"
"""SQL for a message ``m`` whose number no session may check yet."""
_NUMBER_NEEDS_REVIEW: Final = (
    f"p.validation IN {format_sql_list(CHECKABLE_STATES)} AND {_MAY_BE_WRITTEN_TO}"
    f" AND ((p.check_attempts >= {MAX_UNKNOWN_ANSWERS} OR p.line_type = '{_FIXED_LINE}')"
    f" AND {_NO_MESSAGE_NEEDS_REVIEW}"
    f" OR EXISTS (SELECT 1 FROM messages AS m WHERE m.contact = p.contact AND {_WAITS_UNCHECKED}))"
)
_PROSPECTS_WITH_REASON: Final = (
    "SELECT p.*, c.review_reason, c.review_asked_at FROM prospects AS p"
    " JOIN contacts AS c ON c.id = p.contact"
)
# UNION rather than OR: each half uses an index of its own (score, contacts to review).
_PROSPECTS_NEEDING_REVIEW: Final = (
    f"{_PROSPECTS_WITH_REASON} WHERE p.id IN"
    " (SELECT id FROM prospects WHERE score_contactabilidad BETWEEN :lowest AND :highest"
    " UNION SELECT w.id FROM contacts AS a JOIN prospects AS w ON w.contact = a.id"
    " WHERE a.review_reason IS NOT NULL)"
    # Whoever wrote what a person should read is listed, whether we may write to them or not.
    f" AND (c.review_reason IS NOT NULL AND NOT {_IS_SUPPRESSED} OR {_MAY_BE_WRITTEN_TO}"
    f" AND p.validation NOT IN {_OUT_OF_REACH} AND NOT ({_NUMBER_NEEDS_REVIEW}))"
    f" AND {_NO_MESSAGE_NEEDS_REVIEW} AND NOT {HAS_UNREAD_WORDS.format(contact='p.contact')}"
    f" AND NOT EXISTS ({CURRENT_PROSPECT_REVIEW.format(contact='p.contact')})"
)


class WaitingProspect(Struct, frozen=True):
    """A prospect that waits for a person's decision, with the reason and since when."""

    prospect: ProspectRecord
    sentence: str
    since: datetime


class UncheckedMessage(Struct, frozen=True):
    """A message that waits until its number is checked or validated, and when it expires."""

    id: str
    session: str
    expires_at: datetime


class NumberToValidate(Struct, frozen=True):
    """A number that a person has to validate, and why: no check can tell, or none is allowed yet.

    `check_from` is when a phone may check it; None where no time brings that. `messages` are those
    that wait for it, the one that expires first before the others.
    """

    prospect: ProspectRecord
    sentence: str
    since: datetime
    check_from: datetime | None
    messages: tuple[UncheckedMessage, ...]


class ReviewQueue(Struct, frozen=True):
    """The longest waiting messages and numbers, and how many of each there are in all."""

    messages: list[ListedMessage]
    numbers: list[NumberToValidate]
    message_count: int
    number_count: int


def get_review_queue(reader: Reader, limit: int) -> ReviewQueue:
    """Return up to `limit` messages and numbers that wait for a person, longest waiting first.

    A number whose message waits for a decision is listed too where the message needs both: the
    decision, and the number validated. One that nobody may write to is not listed.
    """
    waiting = reader.all(
        "SELECT m.*, coalesce(p.name, '') AS prospect_name FROM messages AS m"
        f" LEFT JOIN prospects AS p ON p.contact = m.contact WHERE {NEEDS_REVIEW}"
        " ORDER BY m.created_at, m.id LIMIT ?",
        (limit,),
    )
    return ReviewQueue(
        [ListedMessage(message_from_row(row), row["prospect_name"]) for row in waiting],
        list_numbers_to_validate(reader, limit),
        reader.value(f"SELECT count(*) FROM messages AS m WHERE {NEEDS_REVIEW}"),
        reader.value(f"SELECT count(*) FROM prospects AS p WHERE {_NUMBER_NEEDS_REVIEW}"),
    )


def list_numbers_to_validate(reader: Reader, limit: int) -> list[NumberToValidate]:
    """Return the numbers that a person has to validate, by when their first message expires."""
    rows = reader.all(
        f"SELECT p.* FROM prospects AS p WHERE {_NUMBER_NEEDS_REVIEW} ORDER BY"
        f" (SELECT min(m.not_after) FROM messages AS m WHERE m.contact = p.contact"
        f" AND {WAITS_FOR_CHECK}) NULLS LAST, p.id LIMIT ?",
        (limit,),
    )
    return [build_number_to_validate(reader, prospect_from_row(row)) for row in rows]


def count_numbers_to_validate(reader: Reader) -> WaitingCount:
    """Return how many numbers a person has to validate, and since when the first waits."""
    row = reader.one(
        "SELECT count(*) AS n, min(coalesce((SELECT min(m.created_at) FROM messages AS m"
        f" WHERE m.contact = p.contact AND {WAITS_FOR_CHECK}), p.created_at)) AS since"
        f" FROM prospects AS p WHERE {_NUMBER_NEEDS_REVIEW}"
    )
    return waiting_count_from_row(row)


def build_number_to_validate(reader: Reader, prospect: ProspectRecord) -> NumberToValidate:
    """Return why a person has to validate a prospect's number, and what waits for it."""
    rows = reader.all(
        f"SELECT m.* FROM messages AS m WHERE m.contact = ? AND {WAITS_FOR_CHECK}"
        " ORDER BY m.not_after, m.id",
        (prospect.contact,),
    )
    waiting = [message_from_row(row) for row in rows]
    blocked = next((message for message in waiting if message.blocked_by), None)
    return NumberToValidate(
        prospect,
        _describe_unchecked_number(prospect, blocked),
        min((message.created_at for message in waiting), default=prospect.created_at),
        blocked.due_at if blocked else None,
        tuple(
            UncheckedMessage(message.id, message.session, message.not_after) for message in waiting
        ),
    )


def _describe_unchecked_number(prospect: ProspectRecord, blocked: MessageRecord | None) -> str:
    if prospect.check_attempts >= MAX_UNKNOWN_ANSWERS:
        return STILL_UNKNOWN_SENTENCE
    if prospect.line_type == _FIXED_LINE:
        return LANDLINE_SENTENCE
    return blocked.sentence if blocked else UNCHECKED_SENTENCE


def list_waiting_prospects(
    reader: Reader, band: range, at: datetime, limit: int
) -> list[WaitingProspect]:
    """Return prospects that wait for a person's decision, those with messages to read first.

    A review was asked for, or their score is in ``band``, and no decision on them is in force. Left
    out are those whose message or number is in the review queue.
    """
    rows = reader.all(
        f"{_PROSPECTS_NEEDING_REVIEW}"
        " ORDER BY c.review_reason IS NULL, c.review_asked_at, p.id LIMIT :limit",
        {**_band_parameters(band, at), "limit": limit},
    )
    return [_waiting_prospect_from_row(row, at) for row in rows]


def count_waiting_prospects(reader: Reader, band: range, at: datetime) -> WaitingCount:
    """Return how many prospects wait for a person's decision, and since when the first does."""
    row = reader.one(
        "SELECT count(*) AS n, min(coalesce(review_asked_at, created_at)) AS since"
        f" FROM ({_PROSPECTS_NEEDING_REVIEW})",
        _band_parameters(band, at),
    )
    return waiting_count_from_row(row)


class ReviewCounts(Struct, frozen=True):
    """How many cases wait for a person, by their kind.

    ``numbers_holding``: those of the numbers for which a message waits.
    """

    held: int = 0
    prospects: int = 0
    meanings: int = 0
    by_hand: int = 0
    unconfirmed: int = 0
    numbers: int = 0
    numbers_holding: int = 0


def read_review_counts(reader: Reader, band: range, at: datetime) -> ReviewCounts:
    """Return how many cases of each kind wait for a person."""
    row = reader.one(
        f"SELECT (SELECT count(*) FROM messages AS m WHERE {NEEDS_REVIEW}) AS held,"
        f" (SELECT count(*) FROM messages AS m WHERE m.state = '{MessageState.CLEARED}'"
        f" AND m.channel = '{BuiltinChannel.MANUAL}') AS by_hand,"
        f" (SELECT count(*) FROM messages AS m WHERE m.state = '{MessageState.IN_DOUBT}')"
        " AS unconfirmed, count(*) AS numbers, coalesce(sum(EXISTS (SELECT 1 FROM messages AS m"
        f" WHERE m.contact = p.contact AND {WAITS_FOR_CHECK})), 0) AS holding"
        f" FROM prospects AS p WHERE {_NUMBER_NEEDS_REVIEW}"
    )
    if row is None:
        return ReviewCounts()
    return ReviewCounts(
        held=row["held"],
        prospects=count_waiting_prospects(reader, band, at).count,
        meanings=count_waiting_reviews(reader),
        by_hand=row["by_hand"],
        unconfirmed=row["unconfirmed"],
        numbers=row["numbers"],
        numbers_holding=row["holding"],
    )


def get_waiting_prospect(
    reader: Reader, prospect: ProspectRecord, band: range, at: datetime
) -> WaitingProspect | None:
    """Return the reason why a prospect waits for a person's decision, or None."""
    row = reader.one(f"{_PROSPECTS_WITH_REASON} WHERE p.id = :prospect", {"prospect": prospect.id})
    if row is None:
        return None
    in_band = prospect.score_contactabilidad in band
    decided = prospect_reviews.get_current_prospect_review(reader, prospect.contact, at) is not None
    asked = row["review_reason"] is not None or (in_band and not decided)
    return _waiting_prospect_from_row(row, at) if asked else None


def _band_parameters(band: range, at: datetime) -> dict[str, object]:
    return {"lowest": band.start, "highest": band.stop - 1, "at": format_timestamp(at)}


def _waiting_prospect_from_row(row: sqlite3.Row, at: datetime) -> WaitingProspect:
    prospect, reason = prospect_from_row(row).as_of(at), row["review_reason"]
    if reason is None:
        sentence = f"A score of {prospect.score_contactabilidad} needs a person's approval"
        return WaitingProspect(prospect, sentence, prospect.created_at)
    asked_at = row["review_asked_at"]
    since = parse_timestamp(asked_at) if asked_at else prospect.updated_at
    return WaitingProspect(prospect, reason, since)
