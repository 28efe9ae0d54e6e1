"""An import source: one number a line, and a name behind a semicolon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.api.imports import SourceOptions, SourceRow, SourceUnreadable

HEADER = ("phone", "name")


class Lines:
    """A file of lines, opened for import. Empty lines and comments (#) are no records."""

    form = "one number a line"
    remarks: Sequence[str] = ()

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def rows(self) -> Iterator[SourceRow]:
        """Yield a header with our own names, then each record with the number of its line."""
        yield SourceRow(0, HEADER)
        for number, line in enumerate(self._lines, start=1):
            if line.strip() and not line.startswith("#"):
                phone, _, name = line.partition(";")
                yield SourceRow(number, (phone.strip(), name.strip()))


def open_lines(path: Path, options: SourceOptions) -> Lines:
    """Read a file of lines; raises :class:`SourceUnreadable` for what is no text."""
    try:
        return Lines(path.read_text(encoding=options.encoding or "utf-8").splitlines())
    except (OSError, LookupError, UnicodeDecodeError) as error:
        raise SourceUnreadable(f"{path.name} can't be read as lines of text: {error}") from error
