"""Workbooks: which sheet is read, what its cells are as text, and what is refused."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xlsxwriter import Workbook

from daemon.api.imports import SourceOptions, SourceUnreadable
from daemon.plugins.sync.xlsx_source import XlsxFile, open_xlsx, write_cell
from tests.helpers.workbooks import SHEET_PART, build_sheets, replace_part, write_rows

DECLARED = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Return the path of a workbook with one sheet of one record."""
    path = tmp_path / "list.xlsx"
    with Workbook(path) as workbook:
        write_rows(workbook.add_worksheet("Uno"), [("Nombre", "Tel"), ("Ana", "1")])
    return path


def open_book(path: Path, sheet: str | None = None) -> XlsxFile:
    """Open a workbook; a header is what has Tel or Celular in it."""
    is_header: Callable[[Sequence[str]], bool] = lambda cells: bool({"Tel", "Celular"} & {*cells})  # noqa: E731
    return open_xlsx(path, SourceOptions(sheet=sheet, is_header=is_header))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5491145554011.0, "5491145554011"),
        (-3.0, "-3"),
        (1.5, "1.5"),
        (1e-7, "0.0000001"),
        (5.49114555401e17, "549114555401000000"),
        (True, "TRUE"),
        (False, "FALSE"),
        (date(2026, 1, 5), "2026-01-05"),
        (datetime(2026, 1, 5), "2026-01-05"),  # noqa: DTZ001 - a spreadsheet knows no zone
        (datetime(2026, 1, 5, 14, 30), "2026-01-05 14:30:00"),  # noqa: DTZ001
        (time(14, 30), "14:30:00"),
        (timedelta(hours=36), "1 day, 12:00:00"),
        ("a\0b", "ab"),
    ],
)
def test_a_cell_is_written_as_text(value: object, text: str) -> None:
    """All digits of a number, and dates that mean one day only."""
    assert write_cell(value) == text


def test_a_sheet_can_be_named(tmp_path: Path) -> None:
    """Whatever its case, also a hidden one; for an unknown one the refusal lists those there."""
    path = tmp_path / "sheets.xlsx"
    build_sheets(path)
    assert [row.cells for row in open_book(path, "portada ").rows()] == [("Listado",)]
    hidden = open_book(path, "Viejos")
    assert len(list(hidden.rows())) == 51
    assert hidden.remarks == ()
    with pytest.raises(
        SourceUnreadable, match=r"no sheet «Nada».*«Portada» \(1\), «Datos» \(4\)\."
    ):
        open_book(path, "Nada")


def test_hidden_rows_are_counted(book: Path) -> None:
    """Filtered ones too; an empty row that is hidden is nobody."""
    with Workbook(book) as workbook:
        sheet = workbook.add_worksheet("Uno")
        write_rows(sheet, [("Nombre", "Tel"), ("Ana", "1"), ("Beto", "2"), ("Caro", "3")])
        for row in (1, 3, 7):
            sheet.set_row(row, None, None, {"hidden": True})
    opened = open_book(book)
    assert opened.remarks == ("Hidden or filtered rows of the sheet are read like the others: 2.",)
    assert [row.number for row in opened.rows()] == [1, 2, 3, 4]
    assert list(opened.rows()) == list(opened.rows())


def test_a_workbook_without_anything_visible_is_refused(book: Path) -> None:
    """And one without anything at all."""
    for state in ("hidden", "empty"):
        with Workbook(book) as workbook:
            shown = workbook.add_worksheet("Uno")
            write_rows(
                workbook.add_worksheet("Dos"), [("Tel",), ("1",)] if state == "hidden" else []
            )
            workbook.get_worksheet_by_name("Dos").hide()
            assert shown.name == "Uno"
        with pytest.raises(SourceUnreadable, match="No visible sheet"):
            open_book(book)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"nombre;tel\nAna;1\n", "not an .xlsx workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel workbook .* or one with a password"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04rest", "damaged"),
        (b"", "not an .xlsx workbook"),
    ],
)
def test_what_is_no_workbook_is_refused_by_its_name(
    book: Path, content: bytes, sentence: str
) -> None:
    """Whatever its ending."""
    book.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=sentence):
        open_book(book)


def test_a_file_that_is_not_there_or_too_large_is_refused(book: Path) -> None:
    """By its name, before it is read."""
    with pytest.raises(SourceUnreadable, match=r"gone\.xlsx can't be read"):
        open_book(book.with_name("gone.xlsx"))
    with book.open("r+b") as file:
        file.truncate(50_000_001)
    with pytest.raises(SourceUnreadable, match="larger than 50 MB"):
        open_book(book)


def put_cell(book: Path, cell: bytes) -> None:
    """Put one more cell behind the last row of the sheet."""
    row = b"<row>" + cell + b"</row>"
    replace_part(book, SHEET_PART, lambda xml: xml.replace(b"</sheetData>", row + b"</sheetData>"))


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (b'<c r="XFD9"><v>1</v></c>', "has 16,384 columns"),
        (b'<c r="Z1048576"><v>1</v></c>', "reaches to row 1,048,576 with 26 columns"),
        (b'<c r="B9999999"><v>1</v></c>', "reaches to row 9,999,999"),
        (b'<c r="9B"><v>1</v></c>', "damaged"),
        (b"<c><v>1</v>", "damaged"),
    ],
)
def test_cells_far_away_are_refused_before_they_take_memory(
    book: Path, cell: bytes, sentence: str
) -> None:
    """The library would make room for every cell between them."""
    put_cell(book, cell)
    with pytest.raises(SourceUnreadable, match=sentence):
        open_book(book)


def test_entities_are_refused(book: Path) -> None:
    """A document type is how a small file becomes a large text."""
    replace_part(
        book, SHEET_PART, lambda xml: xml.replace(b"<worksheet", DECLARED + b"<worksheet", 1)
    )
    with pytest.raises(SourceUnreadable, match="damaged"):
        open_book(book)


def test_a_part_that_lies_about_its_size_is_refused(book: Path) -> None:
    """It is unpacked no further than it states."""
    put_cell(book, b"<c><v>" + b" " * 30_000_000 + b"1</v></c>")
    content = bytearray(book.read_bytes())
    with zipfile.ZipFile(book) as archive:
        size = archive.getinfo(SHEET_PART).file_size
    true, lie = struct.pack("<I", size), struct.pack("<I", 1000)
    assert content.count(true) == 2
    book.write_bytes(content.replace(true, lie))
    with pytest.raises(SourceUnreadable, match="another size than it states"):
        open_book(book)


def test_a_part_that_unpacks_to_too_much_is_refused(book: Path) -> None:
    """By what it states, before anything is unpacked."""
    content = book.read_bytes()
    with zipfile.ZipFile(book) as archive:
        true = struct.pack("<I", archive.getinfo(SHEET_PART).file_size)
    book.write_bytes(content.replace(true, struct.pack("<I", 900_000_000)))
    with pytest.raises(SourceUnreadable, match="unpacks to more than 800 MB"):
        open_book(book)


def make_book() -> bytes:
    """Return the bytes of a small workbook."""
    memory = BytesIO()
    with Workbook(memory) as workbook:
        write_rows(workbook.add_worksheet("Uno"), [("Nombre", "Tel"), ("Ana", "1")] * 3)
    return memory.getvalue()


BOOK = make_book()


@given(
    st.binary(max_size=300)
    | st.builds(
        lambda place, piece: BOOK[:place] + piece + BOOK[place + len(piece) :],
        st.integers(0, len(BOOK)),
        st.binary(min_size=1, max_size=8),
    )
    | st.integers(0, len(BOOK)).map(lambda end: BOOK[:end])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_rows_or_refused(book: Path, content: bytes) -> None:
    """No damage makes it raise anything but its own refusal."""
    book.write_bytes(content)
    try:
        rows = list(open_book(book).rows())
    except SourceUnreadable:
        return
    assert all(isinstance(cell, str) for row in rows for cell in row.cells)


@given(
    st.binary(max_size=60)
    | st.text('<>/=" cvrstisro1A', max_size=60).map(lambda text: text.encode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_xml_is_rows_or_refused(book: Path, piece: bytes) -> None:
    """Sound ZIP files with anything at all in the sheet."""
    book.write_bytes(BOOK)
    put_cell(book, piece)
    try:
        rows = list(open_book(book).rows())
    except SourceUnreadable:
        return
    assert len(rows) >= 6
