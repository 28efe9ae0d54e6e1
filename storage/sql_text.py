"""Builds SQL text: lists of closed words, and comparisons of a search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

MIN_SEARCH_DIGITS: Final = 3
"""Fewer digits are part of nearly every number."""
_NUMBER: Final = re.compile(r"(?:(?:https?://)?wa\.me/|tel:)?[\d\s()+./·–-]+")
"""A number as people write it: "412 pieces" is none, though it has digits."""


def format_sql_list(words: Iterable[StrEnum]) -> str:
    """Return the words as an SQL list for `IN`, sorted: ``('delivered', 'sent')``."""
    # Sorted, as in schema.sql: SQLite uses a partial index only for the same text of a condition.
    return "(" + ", ".join(f"'{word}'" for word in sorted(words)) + ")"


def format_text_search(parameter: str, *columns: str) -> str:
    """Return the condition that one of the columns contains a parameter, whatever its accents.

    A parameter that is nothing but accents is contained in none; an empty one in all.
    """
    # Line breaks between the columns, so that a match does not span two of them.
    text = " || char(10) || ".join(columns)
    # An accent by itself folds to the space that it stands on.
    searched = f"trim(fold_text({parameter}))"
    return f"({parameter} = '' OR {searched} <> '' AND instr(fold_text({text}), {searched}))"


def format_number_search(phone: str) -> str:
    """Return the condition that a number has one of the digits in the parameter ``digits``."""
    return f"EXISTS (SELECT 1 FROM json_each(:digits) WHERE instr({phone}, value))"


def build_searched_digits(text: str, numbers: Iterable[str] = ()) -> str:
    """Return the parameter ``digits``: those of a number, if they are enough, and ``numbers``.

    ``numbers`` are the digits of its other spellings. A text that is no number has none.
    """
    if not _NUMBER.fullmatch(text):
        return "[]"
    digits = "".join(filter(str.isdigit, text))
    own = [digits] if len(digits) >= MIN_SEARCH_DIGITS else []
    return json.dumps([*own, *numbers])
