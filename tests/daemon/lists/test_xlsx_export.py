"""Workbooks that we write: every cell is text, whatever is in it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime

from python_calamine import CalamineWorkbook

from daemon.lists.xlsx_export import Sheet, format_workbook

HOSTILE = ["=1+1", "+5491141234567", "@SUM(A1)", "<b>&\"'", "-3", " two  blanks ", "Ñandú\x00\x1f"]


def read_back(content: bytes) -> Sequence[Sequence[object]]:
    """Return the cells as a spreadsheet's reader gives them."""
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)


def test_what_looks_like_a_formula_or_a_number_is_text() -> None:
    """A reader gives each cell as it was, and nowhere is a formula."""
    sheet = Sheet(title="People", rows=[["name", "phone"], HOSTILE, [7, None]])
    content = format_workbook([sheet], title="A list", at=datetime(2026, 3, 3, tzinfo=UTC))
    head, hostile, plain = read_back(content)
    assert head[:2] == ["name", "phone"]
    assert hostile == HOSTILE
    assert plain[:2] == ["7", ""]
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        cells = package.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in cells
    assert cells.count('t="s"') == cells.count("<c ")
