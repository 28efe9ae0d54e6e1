"""A list as a table: its header row, with unique names, and the records below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from daemon.api.imports import OpenedSource, SourceUnreadable


@dataclass(frozen=True, slots=True)
class ListRecord:
    """One record: its number in the file, and its cells by header.

    ``problem`` is a sentence on a record that can't be read.
    """

    number: int
    cells: Mapping[str, str]
    problem: str = ""


class ListTable:
    """A file read as a table. ``header_number`` is the number of the header's row in the file."""

    def __init__(
        self, source: OpenedSource, headers: Sequence[str], header_number: int | None
    ) -> None:
        self._source = source
        self.headers = make_unique(headers)
        self.header_number = header_number

    @property
    def form(self) -> str:
        """What the file is, such as ``CSV, cp1252, semicolon``."""
        return self._source.form

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on the whole file; complete when :meth:`records` was read to its end once."""
        return tuple(self._source.remarks)

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


def open_table(source: OpenedSource, *, header_required: bool) -> ListTable:
    """Return a file as a table; without ``header_required``, its columns may have no names.

    Raises :class:`SourceUnreadable` for a file without a header, or without anything.
    """
    first = next(iter(source.rows()), None)
    if first is None or not any(name.strip() for name in first.cells):
        raise SourceUnreadable(
            "The file is empty: it needs a line with headers, and records below it."
        )
    if not header_required and any(character.isdigit() for character in "".join(first.cells)):
        return ListTable(source, [""] * len(first.cells), None)
    return ListTable(source, first.cells, first.number)


def make_unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names: an empty one becomes its position, a repeated one gets a count."""
    taken: set[str] = set()
    repeats: dict[str, int] = {}  # the next count to try: 3,000 equal names take 3,000 steps
    unique: list[str] = []
    for position, name in enumerate(names, 1):
        plain = " ".join(name.split()) or f"column {position}"
        for n in count(repeats.get(plain, 1)):
            candidate = plain if n == 1 else f"{plain} ({n})"
            if candidate not in taken:
                break
        repeats[plain] = n + 1
        taken.add(candidate)
        unique.append(candidate)
    return tuple(unique)
