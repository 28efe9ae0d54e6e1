"""Import sources: the types by which a plugin reads lists from files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

MAX_FILE_BYTES: Final = 200_000_000
MAX_COLUMNS: Final = 500
MAX_CELL_CHARACTERS: Final = 10_000


class SourceRow(Struct, frozen=True):
    """One row of a file, the header included.

    ``number`` is the one that the program which made the file shows: of a CSV the record from 1 on,
    of a workbook the row of the sheet, of a vCard file the card from 1 on (its header is row 0).
    ``problem`` is a sentence on a row that can't be read although the file goes on, such as a card
    without an end.
    """

    number: int
    cells: tuple[str, ...]
    problem: str = ""


class OpenedSource(Protocol):
    """A file that is open to be read as rows of text.

    A number cell of a spreadsheet has all its digits and no ``.0``; a date cell is written as
    ``yyyy-mm-dd``, with ``hh:mm:ss`` behind it where it has a time.
    """

    @property
    def form(self) -> str:
        """What the file is, such as ``CSV, cp1252, semicolon``."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences on the whole file; complete when :meth:`rows` was read to its end once."""
        ...

    def rows(self) -> Iterator[SourceRow]:
        """Yield every row in file order, from the first on each time.

        Raises :class:`SourceUnreadable` where the whole file must be refused.
        """
        ...


class SourceUnreadable(Exception):
    """The file can't be read by this source; the message says what is wrong, where, what to do."""


def recognise_no_header(_cells: Sequence[str]) -> bool:
    """Return False: nothing is known of what the header looks like."""
    return False


class SourceOptions(Struct, frozen=True):
    """What a person said about a file, and how its header is recognised.

    ``encoding`` and ``sheet`` are kept to strictly, or the file is refused. ``is_header`` returns
    whether cells look like a header with a phone column; a workbook's sheet is chosen by it.
    """

    encoding: str | None = None
    sheet: str | None = None
    is_header: Callable[[Sequence[str]], bool] = recognise_no_header


OpenSource: TypeAlias = Callable[[Path, SourceOptions], OpenedSource]


class ImportSource(Struct, frozen=True):
    """An import source, as a plugin declares it. ``suffixes`` are lower-case, with the dot.

    ``unit`` is what one of its rows is called in a sentence: a record, a row, a card.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    open: OpenSource
    unit: str = "record"


def check_row_size(row: SourceRow, unit: str = "record") -> SourceRow:
    """Return the row; raise :class:`SourceUnreadable` for too many columns or too long a cell."""
    if len(row.cells) > MAX_COLUMNS:
        raise SourceUnreadable(
            f"{unit.capitalize()} {row.number} has {len(row.cells):,} columns, more than"
            f" {MAX_COLUMNS}; remove the columns that you don't need."
        )
    for column, cell in enumerate(row.cells, 1):
        if len(cell) > MAX_CELL_CHARACTERS:
            raise SourceUnreadable(
                f"Column {column} of {unit} {row.number} has {len(cell):,} characters, more than"
                f" {MAX_CELL_CHARACTERS:,}; shorten that cell."
            )
    return row


def normalise_text(text: str) -> str:
    """Return the words of a header or a cell without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(re.findall(r"[a-z0-9]+", letters))
