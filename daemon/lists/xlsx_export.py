"""Writes XLSX workbooks in which every cell is text: none is a formula, a link or a number."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from daemon.late_imports import LateImport

WORKBOOK_LIBRARY: Final = LateImport("xlsxwriter")
"""What `format_workbook` needs: whoever calls it on the event loop has it loaded before."""
_MAX_CELL_LENGTH: Final = 32_767
"""What a cell takes; the library leaves out a longer one without a word."""


class Sheet(Struct, frozen=True, kw_only=True):
    """A sheet of a workbook; its first row is the header, and stays in sight.

    None is an empty cell, anything else its text; `widths` are those of the first columns.
    """

    title: str
    rows: Iterable[Iterable[object]]
    widths: Sequence[int] = ()


def format_workbook(sheets: Iterable[Sheet], *, title: str, at: datetime) -> bytes:
    """Return a workbook that says it was made at `at`: the same sheets give the same bytes."""
    from xlsxwriter import Workbook  # noqa: PLC0415 - loaded late

    content = io.BytesIO()
    book = Workbook(content, {"in_memory": True})
    book.set_properties({"title": title, "created": at.replace(tzinfo=None)})
    # As text also once somebody edits the cell, or saves the sheet as CSV and opens it again.
    plain = book.add_format({"num_format": "@", "quote_prefix": True, "valign": "top"})
    header = book.add_format({"bold": True})
    for each in sheets:
        _fill_sheet(book.add_worksheet(each.title), each, plain, header)
    book.close()
    return content.getvalue()


def _fill_sheet(
    sheet: Any,  # noqa: ANN401 - the library has no types
    source: Sheet,
    plain: object,
    header: object,
) -> None:
    for place, width in enumerate(source.widths):
        sheet.set_column(place, place, width)
    sheet.freeze_panes(1, 0)
    for line, row in enumerate(source.rows):
        for place, value in enumerate(row):
            if value is not None:
                # `write` would read "=1+1" as a formula.
                text = str(value)[:_MAX_CELL_LENGTH]
                sheet.write_string(line, place, text, plain if line else header)
