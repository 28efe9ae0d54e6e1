"""Builds SQL text from closed word lists."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


def format_sql_list(words: Iterable[StrEnum]) -> str:
    """Return the words as an SQL list for `IN`, sorted: ``('delivered', 'sent')``."""
    # Sorted, as in schema.sql: SQLite uses a partial index only for the same text of a condition.
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"
