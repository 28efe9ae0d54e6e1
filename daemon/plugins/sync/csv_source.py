"""CSV as an import source: detects encoding and delimiter, and numbers the records."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import charset_normalizer

from daemon.api.imports import (
    MAX_FILE_BYTES,
    SourceOptions,
    SourceRow,
    SourceUnreadable,
    check_row_size,
)

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN_CHARACTERS: Final = frozenset(
    "áéíóúàèìòùâêîôûäëïöüãõñçåæøßÿÁÉÍÓÚÀÈÌÒÙÂÊÎÔÛÄËÏÖÜÃÕÑÇÅÆØ¿¡ºª°«»€“”‘’–—…·´•™®©§²³½¼\xa0"  # noqa: RUF001 - these very characters
)
_SAMPLE_BYTES: Final = 200_000  # a guess from more is slower, and no better
_ZIP_SIGNATURE: Final = b"PK\x03\x04"


def decode_text(content: bytes) -> tuple[str, str]:
    """Return the decoded text and the name of its encoding.

    Raises :class:`SourceUnreadable` for a file that is no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_strictly(content, encoding), encoding
    if content.startswith(_ZIP_SIGNATURE):
        raise SourceUnreadable("This is a spreadsheet or a ZIP file; save it as CSV and try again.")
    # UTF-8 first: a text in another encoding is hardly ever valid in it by chance.
    for encoding in ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (encoding == "utf-8" or _looks_western(text)):
            return text, encoding
    return _decode_by_guess(content)


def _looks_western(text: str) -> bool:
    """Return whether a text decoded as cp1252 has only characters that people here write."""
    # cp1252 decodes almost any bytes without an error: that alone proves nothing.
    return all(
        character in _WESTERN_CHARACTERS for character in set(text) if not character.isascii()
    )


def _decode_by_guess(content: bytes) -> tuple[str, str]:
    best = charset_normalizer.from_bytes(content[:_SAMPLE_BYTES]).best()
    if best is None or "\0" in str(best):
        raise SourceUnreadable("This is not text in any known encoding; save it as CSV in UTF-8.")
    return _decode_strictly(content, best.encoding), best.encoding


def _decode_strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            f"The text looks like {encoding}, but byte {error.start} does not fit; "
            "save it in UTF-8."
        ) from None


_DELIMITERS: Final = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
_SAMPLED_RECORDS: Final = 60


def open_csv(path: Path, _options: SourceOptions) -> CsvFile:
    """Open a file as CSV; raise :class:`SourceUnreadable` if it is none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SourceUnreadable(f"{path.name} is larger than 200 MB; split it.")
        content = path.read_bytes()
    except OSError as error:
        raise SourceUnreadable(f"{path.name} can't be read: {error.strerror}.") from None
    text, encoding = decode_text(content)
    return CsvFile(text, encoding)


class CsvFile:
    """A CSV file with its detected delimiter."""

    def __init__(self, text: str, encoding: str) -> None:
        self._text, declared = _strip_delimiter_declaration(text)
        self._delimiter = declared or _detect_delimiter(self._text)
        self.form = f"CSV, {encoding}, {_DELIMITERS.get(self._delimiter, self._delimiter)}"
        self.remarks: Sequence[str] = ()

    def rows(self) -> Iterator[SourceRow]:
        """Yield every record once, in file order, the header as record 1.

        Raises :class:`SourceUnreadable` at a record with an unclosed quote.
        """
        for number, cells in enumerate(_read_records(self._text, self._delimiter), 1):
            yield check_row_size(SourceRow(number, tuple(cells)))


def _strip_delimiter_declaration(text: str) -> tuple[str, str | None]:
    """Return the text without a first line ``sep=;``, and the delimiter that it declares."""
    first, _, rest = text.partition("\n")
    first = first.rstrip("\r")
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):
        return rest, first[-1]
    return text, None


def _detect_delimiter(text: str) -> str:
    """Return the delimiter with which most records have as many cells as the header."""
    return max(_DELIMITERS, key=lambda delimiter: _rate_delimiter(text, delimiter))


def _rate_delimiter(text: str, delimiter: str) -> tuple[float, int]:
    """Return a rating: the share of records as wide as the header, then the header's width."""
    widths: list[int] = []
    with contextlib.suppress(SourceUnreadable):  # the records before it are enough
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
