"""Writes a list as an XLSX workbook in which every cell is text, so that none is a formula."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Final

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""The media type of a workbook."""
_MAX_CELL_LENGTH: Final = 32_767


def format_xlsx(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as a workbook with one sheet; None is an empty cell, anything else its text.

    Call it in a thread: the library is loaded at the first call.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415 - loaded late

    content = io.BytesIO()
    book = Workbook(content, {"in_memory": True})
    # As text also once somebody edits the cell, or saves the sheet as CSV and opens it again.
    text = book.add_format({"num_format": "@", "quote_prefix": True})
    sheet = book.add_worksheet("LeadMaster")
    for line, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write_string(line, column, str(value)[:_MAX_CELL_LENGTH], text)
    book.close()
    return content.getvalue()
