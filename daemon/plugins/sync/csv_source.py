"""CSV as an import source: detects encoding, delimiter and columns, and numbers the records."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Final

import charset_normalizer

from daemon.api.imports import ImportRow, SourcePreview, SourceUnreadable, normalise_text

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


HEADER_NAMES: Final[Mapping[str, Sequence[str]]] = {
    "phone": (
        *("whatsapp", "wsp", "celular", "cel", "movil", "telefono celular", "telefono movil"),
        *("mobile", "mobile phone", "cell", "cell phone", "telefono", "tel", "numero"),
        *("numero de telefono", "nro de telefono", "phone", "phone number", "telephone"),
    ),
    "name": (
        *("nombre", "nombre y apellido", "nombre completo", "nombre comercial", "razon social"),
        *("contacto", "cliente", "empresa", "name", "full name", "contact", "company"),
    ),
    "trade": ("rubro", "actividad", "categoria", "sector", "trade", "industry", "category"),
    "cartera_origen": (
        *("cartera origen", "cartera de origen", "cartera", "origen", "fuente", "procedencia"),
        *("origin", "source"),
    ),
    "permission": (
        *("consentimiento", "permiso", "autorizacion", "opt in", "optin", "consent", "permission"),
    ),
    "evidence": (
        *("evidencia", "prueba", "evidencia de consentimiento", "como se obtuvo"),
        *("evidence", "proof", "consent evidence"),
    ),
    "data_date": (
        *("ultimo contacto", "fecha de ultimo contacto", "fecha de contacto", "fecha"),
        *("last contact", "last contacted", "date"),
    ),
    "notes": ("notas", "nota", "observaciones", "comentarios", "notes", "comments", "remarks"),
}
"""Header names of each column, best first: a mobile number is preferred where a list has both."""


def guess_mapping(headers: Sequence[str]) -> dict[str, str]:
    """Return the header of each column; a column without one is left out."""
    by_name: dict[str, str] = {}
    for header in headers:
        by_name.setdefault(normalise_text(header), header)
    found = {
        column: next((by_name[name] for name in names if name in by_name), None)
        for column, names in HEADER_NAMES.items()
    }
    return {column: header for column, header in found.items() if header is not None}


_DELIMITERS: Final = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
_SAMPLED_RECORDS: Final = 60
_PREVIEW_ROWS: Final = 5
_MAX_FILE_BYTES: Final = 200_000_000
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
    """A CSV file with its detected delimiter and headers."""

    def __init__(self, text: str, encoding: str) -> None:
        self._text, declared = _strip_delimiter_declaration(text)
        self._delimiter = declared or _detect_delimiter(self._text)
        self._encoding = encoding
        header = next(self._records(), [])
        if not any(name.strip() for name in header):
            raise SourceUnreadable(
                "The file is empty: it needs a line with headers, and records below it."
            )
        self._headers = _make_unique(header)

    def preview(self) -> SourcePreview:
        """Return format, headers, guessed mapping and the first rows."""
        form = f"CSV, {self._encoding}, {_DELIMITERS.get(self._delimiter, self._delimiter)}"
        return SourcePreview(
            form=form,
            headers=self._headers,
            mapping=guess_mapping(self._headers),
            rows=tuple(islice(self.rows(), _PREVIEW_ROWS)),
        )

    def rows(self) -> Iterator[ImportRow]:
        """Yield every data record once, in file order.

        Empty ones are skipped and keep their number. Raises :class:`SourceUnreadable` at a
        record with an unclosed quote.
        """
        width = len(self._headers)
        for number, cells in enumerate(islice(self._records(), 1, None), FIRST_RECORD):
            if any(cell.strip() for cell in cells):
                filled = [*cells[:width], *[""] * (width - len(cells))]
                yield ImportRow(number, dict(zip(self._headers, filled, strict=True)))

    def _records(self) -> Iterator[list[str]]:
        yield from _read_records(self._text, self._delimiter)


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


def _make_unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique column names: an empty one gets its position, a repeated one a count."""
    unique: list[str] = []
    for place, name in enumerate(names, 1):
        plain = " ".join(name.split()) or f"column {place}"
        candidates = (plain if n == 1 else f"{plain} ({n})" for n in count(1))
        unique.append(next(each for each in candidates if each not in unique))
    return tuple(unique)
