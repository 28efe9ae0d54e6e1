"""Writes a list as an XLSX workbook in which every cell is text, so that none is a formula."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""The media type of a workbook."""
_MAX_CELL_LENGTH: Final = 32_767
# Of the control characters XML 1.0 has only these three.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SHEET_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/xl/workbook.xml"'
        f' ContentType="{_SHEET_TYPE}.sheet.main+xml"/><Override PartName="/xl/styles.xml"'
        f' ContentType="{_SHEET_TYPE}.styles+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml"'
        f' ContentType="{_SHEET_TYPE}.worksheet+xml"/>'
        "</Types>"
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
        f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="LeadMaster" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
        f' Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2"'
        f' Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
    ),
    # The second format is that of text: a number stays as it is when somebody edits the cell.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_SHEET}"><fonts count="1"><font/></fonts><fills count="1"><fill/>'
        '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
        '<cellXfs count="2"><xf/><xf numFmtId="49" applyNumberFormat="1"/></cellXfs></styleSheet>'
    ),
}


def format_xlsx(rows: Iterable[Iterable[object]]) -> bytes:
    """Return rows as a workbook with one sheet; None is an empty cell, anything else its text."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in _PARTS.items():
            package.writestr(name, _HEAD + content)
        body = "".join(f"<row>{''.join(map(_format_cell, row))}</row>" for row in rows)
        package.writestr(
            "xl/worksheets/sheet1.xml",
            f'{_HEAD}<worksheet xmlns="{_SHEET}"><sheetData>{body}</sheetData></worksheet>',
        )
    return out.getvalue()


def _format_cell(value: object) -> str:
    text = "" if value is None else _NO_XML.sub("", str(value))[:_MAX_CELL_LENGTH]
    return f'<c s="1" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
