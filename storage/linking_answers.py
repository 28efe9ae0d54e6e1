"""The `linking_answers` table: what a person said about a number before its phone was linked."""

from __future__ import annotations

from datetime import date, datetime
from sqlite3 import Row

from msgspec import Struct

from statemachines.vocabulary import NumberAge, ReportedBan
from storage.column_formats import format_timestamp, parse_timestamp
from storage.tx import Reader, Tx


class LinkingAnswers(Struct, frozen=True):
    """Who said when how old a number is, and whether a number of theirs was banned, and when.

    ``banned_on`` is None where nobody was banned, or nobody knows the day.
    """

    at: datetime
    who: str
    number_age: NumberAge
    banned: ReportedBan
    banned_on: date | None = None


def insert_linking_answers(tx: Tx, session: str, answers: LinkingAnswers) -> None:
    """Store answers; earlier ones of the session stay, and the latest count."""
    tx.execute(
        "INSERT INTO linking_answers (session, at, who, number_age, banned, banned_on)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            session,
            format_timestamp(answers.at),
            answers.who,
            answers.number_age,
            answers.banned,
            answers.banned_on.isoformat() if answers.banned_on else None,
        ),
    )


def list_linking_answers(reader: Reader, session: str) -> list[LinkingAnswers]:
    """Return everything that was answered about a session's number, newest first."""
    rows = reader.all(
        "SELECT * FROM linking_answers WHERE session = ? ORDER BY id DESC", (session,)
    )
    return [_answers_from_row(row) for row in rows]


def get_linking_answers(reader: Reader, session: str) -> LinkingAnswers | None:
    """Return the latest answers about a session's number, or None."""
    return next(iter(list_linking_answers(reader, session)), None)


def _answers_from_row(row: Row) -> LinkingAnswers:
    return LinkingAnswers(
        parse_timestamp(row["at"]),
        row["who"],
        NumberAge(row["number_age"]),
        ReportedBan(row["banned"]),
        date.fromisoformat(row["banned_on"]) if row["banned_on"] else None,
    )
