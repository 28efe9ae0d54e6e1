"""Recognises files that are no text, or another kind of text, by how they begin."""

from __future__ import annotations

import codecs
import re
from typing import Final

from daemon.api.imports import SourceUnreadable

_SPREADSHEET: Final = (
    "This is a spreadsheet (.xlsx) or a ZIP file, not CSV: give it the ending .xlsx, or save it as"
    " CSV and try again."
)
_OLD_WORKBOOK: Final = (
    "This is an old Excel workbook (.xls) or one with a password: save it as .xlsx without a"
    " password, or as CSV."
)
_VCARD: Final = "This is a vCard file, not CSV: give it the ending .vcf and try again."
_PDF: Final = "This is a PDF: export the list itself as CSV or .xlsx."
_IMAGE: Final = "This is an image: export the list itself as CSV or .xlsx."
_WEB_PAGE: Final = (
    "This is a web page or XML, not CSV: open it in a spreadsheet and save it as CSV."
)
_RICH_TEXT: Final = "This is a rich-text document, not CSV: save the list itself as CSV."
_COMPRESSED: Final = "This is a compressed file: unpack it, and import what is in it."
_DATABASE: Final = "This is a database, not CSV: export the list itself as CSV."

ZIP_SIGNATURE: Final = b"PK\x03\x04"
OLD_WORKBOOK_SIGNATURE: Final = b"\xd0\xcf\x11\xe0"
_SIGNATURES: Final = (
    (ZIP_SIGNATURE, _SPREADSHEET),
    (b"PK\x05\x06", _SPREADSHEET),
    (OLD_WORKBOOK_SIGNATURE, _OLD_WORKBOOK),
    (b"%PDF", _PDF),
    (b"\x89PNG", _IMAGE),
    (b"\xff\xd8\xff", _IMAGE),
    (b"GIF8", _IMAGE),
    (b"II*\0", _IMAGE),
    (b"MM\0*", _IMAGE),
    (b"{\\rtf", _RICH_TEXT),
    (b"\x1f\x8b", _COMPRESSED),
    (b"7z\xbc\xaf", _COMPRESSED),
    (b"Rar!", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"SQLite format 3", _DATABASE),
)
_MARKUP: Final = re.compile(rb"\s*<(!doctype|html|table|\?xml|head|meta|body)\b", re.IGNORECASE)
VCARD_BEGIN: Final = re.compile(rb"\s*BEGIN[ \t]*:[ \t]*VCARD[ \t]*\r?(\n|\Z)", re.IGNORECASE)


def refuse_other_kinds(head: bytes, *, vcard: bool = False) -> None:
    """Raise :class:`SourceUnreadable` for the beginning of a file that is no CSV or other text.

    With ``vcard``, a vCard is what is looked for, so it is not refused.
    """
    for signature, sentence in _SIGNATURES:
        if head.startswith(signature):
            raise SourceUnreadable(sentence)
    text = head[:4096].removeprefix(codecs.BOM_UTF8)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = text[2:].replace(b"\0", b"")
    if _MARKUP.match(text):
        raise SourceUnreadable(_WEB_PAGE)
    if not vcard and VCARD_BEGIN.match(text):
        raise SourceUnreadable(_VCARD)
