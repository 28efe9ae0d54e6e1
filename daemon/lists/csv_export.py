"""Writes every list that leaves the daemon as CSV, in which no cell is a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Final

# What spreadsheets take for the beginning of a formula, in both widths.
_SIGNS: Final = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_INVISIBLE: Final = "\\s\\x00-\\x1f\\x7f\\u00ad\\u200b-\\u200f\\u2060\\ufeff"
_FORMULA: Final = re.compile(f"[\t\n]|[{_INVISIBLE}]*[{_SIGNS}]")
# A spreadsheet that expects semicolons, as in Spanish, begins a new cell after each, and a new row
# after a line break, for it does not find the quotes where it looks for them.
_INNER_FORMULA: Final = re.compile(f"[;\t\n](?=[{_INVISIBLE}]*[{_SIGNS}])")
_NUMBER: Final = re.compile(
    r"\+[1-9][0-9]{6,14}|\+[1-9][0-9]{0,3}(?: [0-9]{1,14}){1,7}|-?[0-9]+(?:\.[0-9]+)?"
)


def format_csv(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV; None is an empty cell, anything else its text.

    A text that a spreadsheet would read as a formula, as a whole or from a separator on, gets an
    apostrophe before it. A phone number with its plus, in groups or not, or a decimal
    number, stays as it is.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_format_cell(value) for value in row] for row in rows)
    return out.getvalue()


def restore_cell(text: str) -> str:
    """Return the text of a cell of our own export, without the apostrophes that it was given."""
    whole = text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text
    return re.sub(f"([;\t\n])'(?=[{_INVISIBLE}]*[{_SIGNS}])", r"\1", whole)


def _format_cell(value: object) -> str:
    # A return alone would not be quoted, and begin a row.
    text = "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n")
    if _NUMBER.fullmatch(text):
        return text
    return ("'" if _FORMULA.match(text) else "") + _INNER_FORMULA.sub(r"\g<0>'", text)
