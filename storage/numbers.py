"""The `numbers` table: what belongs to a phone number, whatever session it is linked to."""

from __future__ import annotations

from datetime import datetime, timedelta
from sqlite3 import Row
from typing import Final

from msgspec import Struct

from statemachines.vocabulary import ReportedBan
from storage.column_formats import format_timestamp, parse_timestamp
from storage.linking_answers import get_linking_answers
from storage.tx import Reader, Tx

REPLY_ONLY_AFTER_BAN: Final = timedelta(days=14)
"""How long a number begins no new chats: after its ban, or from its link on if one came before."""


class PhoneNumberRecord(Struct, frozen=True):
    """A phone number (E.164) as stored. ``banned_at``: of a ban that nobody has acknowledged.

    ``counted_after``: the breaker counts the first contacts after the spend with this id.
    """

    phone: str
    first_linked_at: datetime
    time_zone: str
    new_chats_stopped_at: datetime | None
    counted_after: int
    warned_at: datetime | None
    reply_only_until: datetime | None
    banned_at: datetime | None


def find_number(reader: Reader, phone: str) -> PhoneNumberRecord | None:
    """Return a number, or None where it was never linked here."""
    row = reader.one("SELECT * FROM numbers WHERE phone = ?", (phone,))
    return _number_from_row(row) if row else None


def list_numbers(reader: Reader) -> list[PhoneNumberRecord]:
    """Return every number that was linked here, the first linked first."""
    rows = reader.all("SELECT * FROM numbers ORDER BY first_linked_at, phone")
    return [_number_from_row(row) for row in rows]


def store_number_link(tx: Tx, phone: str, session: str, time_zone: str, at: datetime) -> None:
    """Store that a session has this number now.

    A known number keeps its age, its stops and its ban, whatever session it is linked to next.
    """
    until = find_reply_only_end(tx, phone, session, at)
    tx.execute(
        "INSERT INTO numbers (phone, first_linked_at, time_zone) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (phone, format_timestamp(at), time_zone),
    )
    if until is not None:
        extend_reply_only(tx, phone, until)


def find_reply_only_end(reader: Reader, phone: str, session: str, now: datetime) -> datetime | None:
    """Return until when a number may only reply because of a ban, or None where it may not.

    It is counted from the number's first link here, which may be this one, still to be stored. A
    ban counts whether it was seen here or reported for this session.
    """
    number = find_number(reader, phone)
    linked_at = number.first_linked_at if number else now
    answers = get_linking_answers(reader, session)
    reported = answers is not None and answers.banned is ReportedBan.YES
    follows_ban = number is None and reader.value("SELECT 1 FROM bans") is not None
    ends = [number.reply_only_until] if number and number.reply_only_until else []
    if reported or follows_ban:
        ends.append(linked_at + REPLY_ONLY_AFTER_BAN)
    return max((end for end in ends if end > now), default=None)


def extend_reply_only(tx: Tx, phone: str, until: datetime) -> None:
    """Close new chats of a number until then; a later end that is stored stays."""
    tx.execute(
        "UPDATE numbers SET reply_only_until = max(coalesce(reply_only_until, ''), :until)"
        " WHERE phone = :phone",
        {"phone": phone, "until": format_timestamp(until)},
    )


def stop_new_chats(tx: Tx, phone: str, at: datetime) -> bool:
    """Stop the new chats of a number until a person resumes; return whether they went before."""
    return bool(
        tx.execute(
            "UPDATE numbers SET new_chats_stopped_at = ?"
            " WHERE phone = ? AND new_chats_stopped_at IS NULL",
            (format_timestamp(at), phone),
        ).rowcount
    )


def resume_new_chats(tx: Tx, phone: str) -> None:
    """Open the new chats of a number again; the breaker counts from 0 again."""
    tx.execute(
        "UPDATE numbers SET new_chats_stopped_at = NULL, warned_at = NULL,"
        # Not a time: after a step of the clock it could lie before first contacts that it follows.
        " counted_after = (SELECT coalesce(max(id), 0) FROM spends) WHERE phone = ?",
        (phone,),
    )


def set_number_warning(tx: Tx, phone: str, at: datetime | None) -> None:
    """Store since when few people answer, or None where enough do."""
    tx.execute(
        "UPDATE numbers SET warned_at = ? WHERE phone = ?", (at and format_timestamp(at), phone)
    )


def set_number_banned(tx: Tx, phone: str, at: datetime | None) -> None:
    """Store since when a number is banned; None: a person has acknowledged it."""
    tx.execute(
        "UPDATE numbers SET banned_at = ? WHERE phone = ?", (at and format_timestamp(at), phone)
    )


def _number_from_row(row: Row) -> PhoneNumberRecord:
    def moment(column: str) -> datetime | None:
        return parse_timestamp(row[column]) if row[column] else None

    return PhoneNumberRecord(
        phone=row["phone"],
        first_linked_at=parse_timestamp(row["first_linked_at"]),
        time_zone=row["time_zone"],
        new_chats_stopped_at=moment("new_chats_stopped_at"),
        counted_after=row["counted_after"],
        warned_at=moment("warned_at"),
        reply_only_until=moment("reply_only_until"),
        banned_at=moment("banned_at"),
    )
