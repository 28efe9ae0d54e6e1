"""CSV as an import source: finds encoding and delimiter, and numbers the records."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from daemon.api.imports import (
    MAX_CELL_CHARACTERS,
    MAX_COLUMNS,
    SourceOptions,
    SourceRow,
    SourceUnreadable,
    check_row_size,
    recognise_no_header,
)
from daemon.plugins.sync.text_encoding import find_encoding

_DELIMITERS: Final = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
_SAMPLE_CHARACTERS: Final = 200_000
_SAMPLED_RECORDS: Final = 60
_HEADER_SEARCH: Final = 20
_MAX_LINE_CHARACTERS: Final = MAX_COLUMNS * MAX_CELL_CHARACTERS
_MAX_REPAIRS: Final = 1_000
_SWALLOWED_LINES: Final = 2
_EVEN_SHARE: Final = 0.5

OpenText = Callable[[], TextIO]


def open_csv(path: Path, options: SourceOptions) -> CsvFile:
    """Open a file as CSV; raise :class:`SourceUnreadable` if it is none."""
    encoding = find_encoding(path, options.encoding)
    open_text = partial(path.open, encoding=encoding.codec, newline="")
    return CsvFile(open_text, encoding.label, options.is_header)


class CsvFile:
    """A CSV file with its delimiter. ``open_text`` opens its text, with the ends of lines kept."""

    def __init__(
        self,
        open_text: OpenText,
        encoding: str,
        is_header: Callable[[Sequence[str]], bool] = recognise_no_header,
    ) -> None:
        self._open_text = open_text
        with open_text() as file:
            sample = file.read(_SAMPLE_CHARACTERS).replace("\0", "")
        lines = list(io.StringIO(sample, newline=""))
        if len(sample) == _SAMPLE_CHARACTERS:
            lines = lines[:-1]  # it may be cut in the middle
        self._declared = _find_declared_delimiter(lines[0]) if lines else None
        if self._declared:
            del lines[0]
        ratings = {each: _rate_delimiter(lines, each, is_header) for each in _DELIMITERS}
        self._delimiter = self._declared or max(ratings, key=lambda each: ratings[each])
        share, self._width = ratings.get(self._delimiter, (0.0, 0))
        self._even = share > _EVEN_SHARE
        one_column = not self._declared and self._width == 1
        delimiter = _DELIMITERS.get(self._delimiter, f"{self._delimiter!r}")
        self.form = f"CSV, {encoding}, {'one column' if one_column else delimiter}"
        self._nuls = 0
        self._repaired: tuple[int, ...] = ()

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences on NULs and quotation marks, once :meth:`rows` was read to its end."""
        remarks = []
        if self._nuls:
            remarks.append(f"NUL characters in the file were left out: {self._nuls:,}.")
        if self._repaired:
            remarks.append(
                "Quotation marks inside cells were read as written, first in record"
                f" {self._repaired[0]} (records with them: {len(self._repaired):,})."
            )
        return remarks

    def rows(self) -> Iterator[SourceRow]:
        """Yield every record in file order, the header as record 1; a line ``sep=`` is none.

        Raises :class:`SourceUnreadable` at a record with an unclosed quote, or beyond a limit.
        """
        repaired: list[int] = []
        with self._open_text() as file:
            lines = _LineFeed(file)
            if self._declared:
                next(lines)
            for number, record in enumerate(self._read_records(lines, repaired), 1):
                yield check_row_size(self._build_row(number, record))
        self._nuls = lines.nuls
        self._repaired = tuple(repaired)

    def _build_row(self, number: int, record: list[str]) -> SourceRow:
        cells = _trim(record)
        # A name with a delimiter in it moves the cells behind it: the no would be read as a note.
        moved = self._even and any(cell.strip() for cell in cells[self._width :])
        problem = (
            f"Record {number} has {len(cells)} cells where the header has {self._width}; put a cell"
            " that has a delimiter in it between quotation marks."
        )
        return SourceRow(number, cells, problem if moved else "")

    def _read_records(self, lines: _LineFeed, repaired: list[int]) -> Iterator[list[str]]:
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        number = 1
        while True:
            lines.taken.clear()
            try:
                record = next(reader)
                self._refuse_swallowed(number, lines.taken)
            except StopIteration:
                return
            except csv.Error:
                mended = _split_at_outer_quotes(lines.taken[0], self._delimiter)
                if len(mended) != self._width or len(repaired) == _MAX_REPAIRS:
                    raise SourceUnreadable(
                        f"Record {number} can't be read: check its quotation marks, and that no"
                        f" cell has more than {MAX_CELL_CHARACTERS:,} characters."
                    ) from None
                lines.put_back(lines.taken[1:])
                repaired.append(number)
                record = mended
            yield record
            number += 1

    def _refuse_swallowed(self, number: int, taken: Sequence[str]) -> None:
        """Raise SourceUnreadable for a cell that has whole records in it, between two quotes."""
        if len(taken) < _SWALLOWED_LINES + 2 or self._width < 2:  # noqa: PLR2004 - first and last
            return
        whole = sum(line.count(self._delimiter) == self._width - 1 for line in taken[1:-1])
        if whole >= _SWALLOWED_LINES:
            raise SourceUnreadable(
                f"Record {number} has a quotation mark that is closed only {len(taken) - 1} lines"
                " below, with whole records between; remove the marks that are no part of a cell."
            )


class _LineFeed:
    """Lines for the CSV reader: without NULs, of limited length, and those it took last."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []
        self._number = 0
        self.nuls = 0
        self.taken: list[str] = []

    def __iter__(self) -> _LineFeed:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self._read()
        self.taken.append(line)
        return line

    def put_back(self, lines: Sequence[str]) -> None:
        """Give these lines again, before those that follow."""
        self._waiting.extend(reversed(lines))

    def _read(self) -> str:
        line = self._file.readline(_MAX_LINE_CHARACTERS + 1)
        self._number += 1
        if not line:
            raise StopIteration
        if len(line) > _MAX_LINE_CHARACTERS:
            raise SourceUnreadable(
                f"Line {self._number} has more than {_MAX_LINE_CHARACTERS:,} characters;"
                " save the list as CSV with one record a line."
            )
        if "\0" in line:
            self.nuls += line.count("\0")
            line = line.replace("\0", "")
        return line


def _trim(record: list[str]) -> tuple[str, ...]:
    """Return the cells; without empty ones at the end where there are too many columns."""
    if len(record) > MAX_COLUMNS:
        while record and not record[-1].strip():
            record.pop()
    return tuple(record)


def _find_declared_delimiter(first: str) -> str | None:
    """Return the delimiter that a first line ``sep=;`` declares."""
    line = first.rstrip("\r\n").strip('"')
    return line[-1] if line.lower().startswith("sep=") and len(line) == len("sep=;") else None


def _rate_delimiter(
    lines: Sequence[str], delimiter: str, is_header: Callable[[Sequence[str]], bool]
) -> tuple[float, int]:
    """Return the share of records as wide as the header, and the header's width.

    The header is the first record that looks like one, else the first record that has cells.
    """
    records: list[list[str]] = []
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        records.extend(record for record in islice(reader, _SAMPLED_RECORDS) if any(record))
    except csv.Error:  # the records before it are enough, or as many without strictness
        reader = csv.reader(lines, delimiter=delimiter)
        records = records or [each for each in islice(reader, _SAMPLED_RECORDS) if any(each)]
    if not records:
        return 0.0, 1
    first = next((each for each in records[:_HEADER_SEARCH] if is_header(each)), records[0])
    if len(first) == 1:
        return 0.0, 1
    return Counter(map(len, records))[len(first)] / len(records), len(first)


def _split_at_outer_quotes(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line whose quoted cells end at a quote before a delimiter.

    No cells where a quoted one has no end. So ``"Bar "El Sol"",1`` has the cells that it shows.
    """
    line = line.rstrip("\r\n")
    cells: list[str] = []
    start = 0
    while start <= len(line):
        if line.startswith('"', start):
            end = start + 1
            while True:
                end = line.find('"', end)
                if end < 0:
                    return []
                if line.startswith(delimiter, end + 1) or end + 1 == len(line):
                    break
                end += 1
            cells.append(line[start + 1 : end].replace('""', '"'))
            start = end + 1 + len(delimiter)
        else:
            end = line.find(delimiter, start)
            end = len(line) if end < 0 else end
            cells.append(line[start:end])
            start = end + len(delimiter)
    return cells
