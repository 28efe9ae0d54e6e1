"""Looks through a workbook's own XML before it is opened: sizes, hidden sheets and hidden rows.

The library that reads the cells does not say which rows are hidden, and takes memory for every cell
between the first and the last filled one. So what it would read is counted here first, in pieces of
limited size, and a workbook that would unpack to too much is refused.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final
from xml.parsers import expat

from msgspec import Struct, field

from daemon.api.imports import MAX_COLUMNS, SourceUnreadable

MAX_WORKBOOK_BYTES: Final = 50_000_000
MAX_UNPACKED_BYTES: Final = 800_000_000
MAX_CELLS: Final = 10_000_000
MAX_ROWS: Final = 1_048_576
_MAX_PARTS: Final = 2_000
_MAX_SHEETS: Final = 250
_BLOCK_BYTES: Final = 2**18
_LOCAL_HEADER: Final = 30
_CELL: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_DAMAGED: Final = (
    "The workbook is damaged: open it in a spreadsheet, save it as .xlsx again, or as CSV."
)


class SheetFacts(Struct):
    """A sheet: its name, whether it is visible, and what its rows are.

    ``filled_rows`` have a value in a cell; ``hidden_rows`` are those of them that are hidden or
    filtered away.
    """

    name: str
    visible: bool
    filled_rows: int = 0
    hidden_rows: int = 0
    last_row: int = 0
    last_column: int = 0


def survey_workbook(path: Path) -> list[SheetFacts]:
    """Return the facts of every sheet, in the workbook's order.

    Raises :class:`SourceUnreadable` for a file that is no sound workbook, or beyond a limit.
    """
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            parts = _check_parts(archive, file)
            return [_survey_sheet(file, parts, *each) for each in _list_sheets(file, parts)]
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, NotImplementedError):
        raise SourceUnreadable(_DAMAGED) from None
    except (ValueError, KeyError, UnicodeError, RuntimeError):  # what zipfile raises besides
        raise SourceUnreadable(_DAMAGED) from None


def check_sheet(sheet: SheetFacts) -> None:
    """Raise :class:`SourceUnreadable` for a sheet whose cells are too many or too far apart."""
    if sheet.last_column > MAX_COLUMNS:
        raise SourceUnreadable(
            f"Sheet «{sheet.name}» has {sheet.last_column:,} columns, more than {MAX_COLUMNS};"
            " delete what you don't need."
        )
    if sheet.last_row * sheet.last_column > MAX_CELLS or sheet.last_row > MAX_ROWS:
        raise SourceUnreadable(
            f"Sheet «{sheet.name}» reaches to row {sheet.last_row:,} with {sheet.last_column:,}"
            f" columns, more than {MAX_CELLS:,} cells; delete what is far below the list, or split"
            " it."
        )


def _check_parts(archive: zipfile.ZipFile, file: IO[bytes]) -> Mapping[str, zipfile.ZipInfo]:
    """Return the XML parts by path; each unpacks to the size that it states, within the limit."""
    parts = [
        part for part in archive.infolist() if part.filename.casefold().endswith((".xml", ".rels"))
    ]
    found = {part.filename.lstrip("/").casefold(): part for part in parts}
    if len(found) != len(parts) or len(parts) > _MAX_PARTS:
        raise SourceUnreadable(_DAMAGED)
    # What is stated may be a lie: each part is unpacked once, and nothing of it is kept.
    if sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES or any(
        sum(map(len, _unpack(file, part))) != part.file_size for part in parts
    ):
        raise SourceUnreadable(
            f"The workbook unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000:,} MB, or to"
            " another size than it states; save the list as CSV, or split it."
        )
    return found


def _unpack(file: IO[bytes], part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a part's bytes in blocks, at most one block more than it states."""
    if part.flag_bits & 0x1 or part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise zipfile.BadZipFile(part.filename)
    file.seek(part.header_offset)
    header = file.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise zipfile.BadZipFile(part.filename)
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    packed = _read_packed(file, part.compress_size)
    given = 0
    for piece in packed if part.compress_type == zipfile.ZIP_STORED else _inflate(packed):
        given += len(piece)
        yield piece
        if given > part.file_size:
            return


def _read_packed(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(size, _BLOCK_BYTES))):
        size -= len(block)
        yield block


def _inflate(packed: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for block in packed:
        piece = inflater.decompress(block, _BLOCK_BYTES)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _BLOCK_BYTES)


StartElement = Callable[[str, dict[str, str]], None]


def _parse(file: IO[bytes], part: zipfile.ZipInfo, start: StartElement) -> None:
    """Call ``start`` for each element of a part. A document type is refused: it brings entities."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    for block in _unpack(file, part):
        parser.Parse(block, False)
    parser.Parse(b"", True)


def _refuse_doctype(*_declaration: object) -> None:
    raise SourceUnreadable(_DAMAGED)


def _list_sheets(
    file: IO[bytes], parts: Mapping[str, zipfile.ZipInfo]
) -> list[tuple[SheetFacts, str]]:
    """Return each worksheet with its path, in the workbook's order; nothing is counted yet."""
    targets: dict[str, str] = {}
    sheets: list[tuple[SheetFacts, str]] = []

    def take_relation(name: str, attributes: dict[str, str]) -> None:
        kind = attributes.get("Type", "").rpartition("/")[2]
        if _strip_prefix(name) == "Relationship" and kind == "worksheet":
            targets[attributes["Id"]] = posixpath.normpath(
                posixpath.join("/xl", attributes["Target"])
            ).lstrip("/")

    def take_sheet(name: str, attributes: dict[str, str]) -> None:
        relation = next((attributes[key] for key in attributes if _strip_prefix(key) == "id"), "")
        if _strip_prefix(name) == "sheet" and relation in targets:
            visible = attributes.get("state", "visible") == "visible"
            sheets.append((SheetFacts(attributes["name"], visible), targets[relation]))

    _parse(file, parts["xl/_rels/workbook.xml.rels"], take_relation)
    _parse(file, parts["xl/workbook.xml"], take_sheet)
    if len(sheets) > _MAX_SHEETS:
        raise SourceUnreadable(_DAMAGED)
    return sheets


def _strip_prefix(name: str) -> str:
    return name.rpartition(":")[2]


def _survey_sheet(
    file: IO[bytes], parts: Mapping[str, zipfile.ZipInfo], sheet: SheetFacts, path: str
) -> SheetFacts:
    _parse(file, parts[path.casefold()], _SheetWalk(sheet).take)
    return sheet


class _SheetWalk(Struct):
    """Goes through the elements of a sheet: rows, cells, and the values in them."""

    facts: SheetFacts
    _kinds: dict[str, str] = field(default_factory=dict)
    _row: int = 0
    _column: int = 0
    _hidden: bool = False
    _counted: bool = True

    def take(self, name: str, attributes: dict[str, str]) -> None:
        """Take the next element. Called for millions, so a name is taken apart only once."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds.setdefault(name, _strip_prefix(name))
        if kind == "c":
            self._take_cell(attributes.get("r"))
        elif kind in {"v", "is"}:
            self._take_value()
        elif kind == "row":
            self._row = int(attributes.get("r", self._row + 1))
            self._column = 0
            self._hidden = attributes.get("hidden") in {"1", "true"}
            self._counted = False

    def _take_cell(self, reference: str | None) -> None:
        if reference is None:
            self._column += 1
        elif match := _CELL.fullmatch(reference):
            self._row = int(match[2])
            self._column = _number_column(match[1])
        else:
            raise SourceUnreadable(_DAMAGED)

    def _take_value(self) -> None:
        facts = self.facts
        facts.last_row = max(facts.last_row, self._row)
        facts.last_column = max(facts.last_column, self._column)
        if not self._counted:
            self._counted = True
            facts.filled_rows += 1
            facts.hidden_rows += self._hidden


def _number_column(letters: str) -> int:
    """Return the number of a column: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
