"""CSV as an import source: finds encoding and delimiter, numbers records as a spreadsheet does."""

from __future__ import annotations

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Final

from daemon.api.imports import ImportRow, SourcePreview, SourceUnreadable
from daemon.plugins.sync import headers
from daemon.plugins.sync.decoding import decode_text

_DELIMITERS: Final = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
_SAMPLED_RECORDS: Final = 60
_PREVIEW_ROWS: Final = 5
_MAX_FILE_BYTES: Final = 200_000_000  # bytes
FIRST_RECORD: Final = 2
"""The number of the first data record: the header is record 1."""


def open_csv(path: Path) -> CsvFile:
    """Open a file as CSV; raise :class:`SourceUnreadable` if it is none."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise SourceUnreadable(f"{path.name} is larger than 200 MB; split it.")
        content = path.read_bytes()
    except OSError as error:
        raise SourceUnreadable(f"{path.name} can't be read: {error.strerror}.") from None
    text, encoding = decode_text(content)
    return CsvFile(text, encoding)


class CsvFile:
    """The text of a CSV file, understood."""

    def __init__(self, text: str, encoding: str) -> None:
        self._text, declared = _strip_delimiter_declaration(text)
        self._delimiter = declared or _detect_delimiter(self._text)
        self._encoding = encoding
        header = next(self._records(), [])
        if not any(name.strip() for name in header):
            raise SourceUnreadable("The file is empty: it needs a header line and records below.")
        self._headers = _make_unique(header)

    def preview(self) -> SourcePreview:
        """Return form, headers, guessed mapping and the first rows."""
        form = f"CSV, {self._encoding}, {_DELIMITERS.get(self._delimiter, self._delimiter)}"
        return SourcePreview(
            form=form,
            headers=self._headers,
            mapping=headers.guess_mapping(self._headers),
            rows=tuple(islice(self.rows(), _PREVIEW_ROWS)),
        )

    def rows(self) -> Iterator[ImportRow]:
        """Yield every data record once, in file order.

        Empty ones are left out and keep their number. Raises :class:`SourceUnreadable` at a
        record whose quotes do not end.
        """
        width = len(self._headers)
        for number, cells in enumerate(islice(self._records(), 1, None), FIRST_RECORD):
            if any(cell.strip() for cell in cells):
                filled = [*cells[:width], *[""] * (width - len(cells))]
                yield ImportRow(number, dict(zip(self._headers, filled, strict=True)))

    def _records(self) -> Iterator[list[str]]:
        yield from _read_records(self._text, self._delimiter)


def _strip_delimiter_declaration(text: str) -> tuple[str, str | None]:
    """Take off the line ``sep=;`` with which spreadsheets declare their delimiter."""
    first, _, rest = text.partition("\n")
    first = first.rstrip("\r")
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):
        return rest, first[-1]
    return text, None


def _detect_delimiter(text: str) -> str:
    """Return the delimiter under which most records have as many cells as the header."""
    return max(_DELIMITERS, key=lambda delimiter: _rate_delimiter(text, delimiter))


def _rate_delimiter(text: str, delimiter: str) -> tuple[float, int]:
    """Measure a delimiter: the share of records like the header, then how many cells that has."""
    widths: list[int] = []
    with contextlib.suppress(SourceUnreadable):  # what comes before still shows the delimiter
        widths.extend(
            len(record) for record in islice(_read_records(text, delimiter), _SAMPLED_RECORDS)
        )
    widths = [width for width in widths if width]
    if not widths or widths[0] == 1:
        return 0.0, 1
    return Counter(widths)[widths[0]] / len(widths), widths[0]


def _read_records(text: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, record in enumerate(reader, 1):  # noqa: B007 - the error names the last one
            yield record
    except csv.Error:
        raise SourceUnreadable(
            f"Record {number + 1} can't be read: check its quotation marks, and that no cell has"
            f" more than {csv.field_size_limit():,} characters."
        ) from None


def _make_unique(names: Sequence[str]) -> tuple[str, ...]:
    """Give every column a name of its own: an empty one its place, a second one its count."""
    unique: list[str] = []
    for place, name in enumerate(names, 1):
        plain = " ".join(name.split()) or f"column {place}"
        candidates = (plain if n == 1 else f"{plain} ({n})" for n in count(1))
        unique.append(next(each for each in candidates if each not in unique))
    return tuple(unique)
