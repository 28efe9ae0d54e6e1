"""An import source: one number a line, and a name behind a semicolon."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from daemon.api.imports import ImportRow, SourcePreview, SourceUnreadable

HEADERS = ("phone", "name")
_PREVIEW_ROWS = 5


class Lines:
    """A file of lines, opened for import. Empty lines and comments (#) are no records."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def preview(self) -> SourcePreview:
        """Return the first rows; the columns have our own names, so there is nothing to map."""
        mapping = {header: header for header in HEADERS}
        first = tuple(islice(self.rows(), _PREVIEW_ROWS))
        return SourcePreview("one number a line", HEADERS, mapping, first)

    def rows(self) -> Iterator[ImportRow]:
        """Yield each record with the number of its line."""
        for number, line in enumerate(self._lines, start=1):
            if line.strip() and not line.startswith("#"):
                phone, _, name = line.partition(";")
                yield ImportRow(number, {"phone": phone.strip(), "name": name.strip()})


def open_lines(path: Path) -> Lines:
    """Read a file of lines; raises :class:`SourceUnreadable` for what is no UTF-8 text."""
    try:
        return Lines(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreadable(f"{path.name} can't be read as lines of text: {error}") from error
