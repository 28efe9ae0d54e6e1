"""The `consent_words` table: what people said that a word on consent means, for later lists."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from storage.column_formats import format_timestamp
from storage.tx import Reader, Tx


def store_consent_words(tx: Tx, answers: Mapping[str, str], *, who: str, at: datetime) -> None:
    """Remember what words mean, by the folded word; a new answer replaces the old one."""
    tx.execute_many(
        "INSERT INTO consent_words (word, answer, who, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (word) DO UPDATE SET answer = excluded.answer, who = excluded.who,"
        " at = excluded.at",
        [(word, answer, who, format_timestamp(at)) for word, answer in answers.items()],
    )


def list_consent_words(reader: Reader) -> dict[str, str]:
    """Return the answers by word."""
    return {
        row["word"]: row["answer"]
        for row in reader.all("SELECT word, answer FROM consent_words ORDER BY word")
    }
