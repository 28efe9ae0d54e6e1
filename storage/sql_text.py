"""Builds SQL text from closed word lists, in one order: a partial index needs it word for word."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


def format_sql_list(words: Iterable[StrEnum]) -> str:
    """Return the words as SQL has them after `IN`, sorted: ``('delivered', 'sent')``."""
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"
