"""Builds the workbooks that tests read: each situation of the lists, by its file name."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

HEADER: Final = ("Nombre", "Celular")
SHEET_PART: Final = "xl/worksheets/sheet1.xml"


def write_rows(sheet: Worksheet, rows: Sequence[Sequence[str]], first: int = 0) -> None:
    """Write rows of text from a row on, counted from 0."""
    for number, cells in enumerate(rows, first):
        for column, cell in enumerate(cells):
            sheet.write_string(number, column, cell)


def replace_part(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change one part of a workbook: what the library can't be made to write."""
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def build_numeric_phones(path: Path) -> None:
    """Numbers as number cells, of which a spreadsheet shows only some digits."""
    with Workbook(path) as book:
        sheet = book.add_worksheet("Hoja1")
        write_rows(sheet, [HEADER, ["Ana"], ["Beto"], ["Caro"]])
        for row, number in enumerate((5491145554011, 1145554012, 5491145554013.0), 1):
            sheet.write_number(row, 1, number)


def build_dates(path: Path, *, date_1904: bool = False) -> None:
    """Date cells and a date as text, in either of the two date systems."""
    with Workbook(path, {"date_1904": date_1904}) as book:
        sheet = book.add_worksheet("Hoja1")
        as_date = book.add_format({"num_format": "dd/mm/yyyy"})
        write_rows(sheet, [(*HEADER, "Último contacto")])
        for row, name in enumerate(("Ana", "Beto", "Caro"), 1):
            write_rows(sheet, [[name, f"+549114555401{row + 5}"]], row)
        sheet.write_number(1, 2, 46027, as_date)
        sheet.write_number(2, 2, 44565, as_date)
        sheet.write_string(3, 2, "05/01/2026")


def build_sheets(path: Path) -> None:
    """A title page, the list with its header in row 4, and a hidden sheet of 50 records."""
    with Workbook(path) as book:
        write_rows(book.add_worksheet("Portada"), [["Listado"]])
        sheet = book.add_worksheet("Datos")
        write_rows(sheet, [["Clientes"]])
        rows = [HEADER, ["Ana", "+5491145554018"], ["Beto", "+5491145554019"]]
        write_rows(sheet, rows, 3)
        old = book.add_worksheet("Viejos")
        old.hide()
        write_rows(old, [HEADER, *([f"V{n}", f"+54911455560{n:02d}"] for n in range(50))])


def build_merged(path: Path) -> None:
    """A merged title, a name merged over two rows, and an empty row."""
    with Workbook(path) as book:
        sheet = book.add_worksheet("Hoja1")
        sheet.merge_range("A1:C1", "Clientes marzo")
        write_rows(sheet, [(*HEADER, "Rubro")], 1)
        sheet.merge_range("A3:A4", "Taller Uno")
        sheet.write_comment("A3", "ojo")
        for row, digit in ((2, 0), (3, 1), (5, 2)):
            sheet.write_string(row, 1, f"+549114555402{digit}")


def build_huge_range(path: Path) -> None:
    """Three records in a sheet that is formatted to its last row and column."""
    with Workbook(path) as book:
        sheet = book.add_worksheet("Hoja1")
        rows = [[name, f"+549114555403{n}"] for n, name in enumerate(("Ana", "Beto", "Caro"))]
        write_rows(sheet, [HEADER, *rows])

    def format_all(xml: bytes) -> bytes:
        empty = b"".join(b'<row r="%d" ht="15" customHeight="1"/>' % n for n in range(5, 2**20))
        last = b'<row r="1048576"><c r="A1048576" s="0"/><c r="XFD1048576" s="0"/></row>'
        xml = re.sub(rb'<dimension ref="[^"]*"/>', b'<dimension ref="A1:XFD1048576"/>', xml)
        return xml.replace(b"</sheetData>", empty + last + b"</sheetData>")

    replace_part(path, SHEET_PART, format_all)


def build_texts(path: Path) -> None:
    """A text with a quote prefix, one with blanks, an inline text, and one of two runs."""
    with Workbook(path) as book:
        sheet = book.add_worksheet("Hoja1")
        names = ("Ana", "Beto", "Caro", "Dani")
        write_rows(sheet, [HEADER, *([name] for name in names)])
        sheet.write_string("B2", "'+5491145554023", book.add_format({"quote_prefix": True}))
        sheet.write_string("B3", "  +54 9 11 4555 4024 ")
        sheet.write_blank("B4", None, book.add_format({"bold": True}))
        sheet.write_rich_string("B5", "+54911", book.add_format({"bold": True}), "45554026")
    inline = rb'<c r="B4" t="inlineStr"><is><t>+5491145554025</t></is></c>'
    replace_part(path, SHEET_PART, lambda xml: re.sub(rb'<c r="B4"[^>]*/>', inline, xml))


BUILDERS: Final[dict[str, Callable[[Path], None]]] = {
    "x1_numeric_phone.xlsx": build_numeric_phones,
    "x3_dates.xlsx": build_dates,
    "x3_dates_1904.xlsx": lambda path: build_dates(path, date_1904=True),
    "x4_sheets_hidden_first.xlsx": build_sheets,
    "x6_merged_and_comments.xlsx": build_merged,
    "x7_huge_used_range.xlsx": build_huge_range,
    "x8_text_number_apostrophe.xlsx": build_texts,
}


def build_workbook(folder: Path, name: str) -> Path:
    """Build the workbook of a case in a folder; return its path."""
    path = folder / name
    BUILDERS[name](path)
    return path
