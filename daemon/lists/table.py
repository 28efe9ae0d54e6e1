"""A list as a table: its header row, with unique names, and the records below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Final

from msgspec import Struct

from daemon.api.imports import OpenedSource, SourceRow, SourceUnreadable
from daemon.lists.columns import is_phone_header

HEADER_ROWS: Final = 20
"""A header is looked for in so many rows."""
_MAX_TITLE: Final = 80


class ListRecord(Struct, frozen=True):
    """One record: its number in the file, and its cells by header.

    ``problem`` is a sentence on a record that can't be read.
    """

    number: int
    cells: Mapping[str, str]
    problem: str = ""


class ListTable:
    """A file read as a table. ``header_number`` is the number of the header's row in the file.

    ``titles`` are the rows above it, which are not read.
    """

    def __init__(
        self,
        source: OpenedSource,
        headers: Sequence[str],
        header_number: int | None,
        titles: Sequence[SourceRow] = (),
    ) -> None:
        self._source = source
        self._titles = tuple(_name_title(row) for row in titles if any(map(str.strip, row.cells)))
        self.headers = make_unique(headers)
        self.header_number = header_number

    @property
    def form(self) -> str:
        """What the file is, such as ``CSV, cp1252, semicolon``."""
        return self._source.form

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on the whole file; complete when :meth:`records` was read to its end once."""
        return (*self._titles, *self._source.remarks)

    def records(self) -> Iterator[ListRecord]:
        """Yield every record below the header, from the first on each time.

        Empty ones are left out, and the others keep their numbers. Raises
        :class:`SourceUnreadable` where the whole file must be refused.
        """
        width = len(self.headers)
        for row in self._source.rows():
            if self.header_number is not None and row.number <= self.header_number:
                continue
            if row.problem or any(cell.strip() for cell in row.cells):
                filled = (*row.cells[:width], *[""] * (width - len(row.cells)))
                cells = dict(zip(self.headers, filled, strict=True))
                yield ListRecord(row.number, cells, row.problem)


def open_table(
    source: OpenedSource, *, header_required: bool, headers: Sequence[str] = ()
) -> ListTable:
    """Return a file as a table; without ``header_required``, its columns may have no names.

    The header is the first row with the name of a phone column, or with one of ``headers``, which
    a person named; titles above it are left out, and named in the remarks. Raises
    :class:`SourceUnreadable` for a file without a header, or without anything.
    """
    rows = list(islice(source.rows(), HEADER_ROWS))
    first = next((row for row in rows if any(map(str.strip, row.cells))), None)
    if first is None:
        raise SourceUnreadable(
            "The file is empty: it needs a line with headers, and records below it."
        )
    header = _find_header(rows, headers)
    if header is not None:
        titles = [row for row in rows if row.number < header.number]
        return ListTable(source, header.cells, header.number, titles)
    if not header_required and any(character.isdigit() for character in "".join(first.cells)):
        return ListTable(source, [""] * max(len(row.cells) for row in rows), None)
    if first is not rows[0]:
        raise SourceUnreadable(
            f"No row of the first {HEADER_ROWS} names a phone column, such as Teléfono, Celular or"
            " Phone; name the column of the number in a row above the records."
        )
    return ListTable(source, first.cells, first.number)


def _find_header(rows: Sequence[SourceRow], headers: Sequence[str]) -> SourceRow | None:
    """Return the header's row; None where no row looks like one."""
    wanted = {" ".join(header.split()) for header in headers}
    found = [
        row
        for row in rows
        if is_phone_header(row.cells)
        or wanted.intersection(" ".join(cell.split()) for cell in row.cells)
    ]
    # "Teléfonos" alone in its row is a title, where a row with more names is below it.
    wide = [row for row in found if sum(1 for cell in row.cells if cell.strip()) > 1]
    return next(iter(wide or found), None)


def _name_title(row: SourceRow) -> str:
    text = " · ".join(" ".join(cell.split()) for cell in row.cells if cell.strip())
    shown = text if len(text) <= _MAX_TITLE else f"{text[:_MAX_TITLE]}…"
    return f"Row {row.number} is above the header, and is not read: {shown}"


def make_unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names: an empty one becomes its position, a repeated one gets a count."""
    taken: set[str] = set()
    repeats: dict[str, int] = {}  # the next count to try: 3,000 equal names take 3,000 steps
    unique: list[str] = []
    for position, name in enumerate(names, 1):
        plain = " ".join(name.split()) or f"column {position}"
        numbers = count(repeats.get(plain, 1))
        n, candidate = next(
            (n, name)
            for n in numbers
            if (name := plain if n == 1 else f"{plain} ({n})") not in taken
        )
        repeats[plain] = n + 1
        taken.add(candidate)
        unique.append(candidate)
    return tuple(unique)
