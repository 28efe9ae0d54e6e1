"""Bytes of unknown origin become text: which encoding a file was most likely saved in."""

from __future__ import annotations

import codecs
from typing import Final

import charset_normalizer

from daemon.api.imports import SourceUnreadable

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
_SAMPLE_BYTES: Final = 200_000  # bytes; a guess from more is not better, only slower
_ZIP_SIGNATURE: Final = b"PK\x03\x04"


def decode_text(content: bytes) -> tuple[str, str]:
    """Return the text and the name of the encoding that it was read in.

    Raises :class:`SourceUnreadable` for what is no text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _decode_strictly(content, encoding), encoding
    if content.startswith(_ZIP_SIGNATURE):
        raise SourceUnreadable("This is a spreadsheet or a ZIP file; save it as CSV and try again.")
    for encoding in ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (encoding == "utf-8" or _looks_western(text)):
            return text, encoding
    return _decode_by_guess(content)


def _looks_western(text: str) -> bool:
    """Tell whether cp1252 made sense: it gives almost any byte a character, but not any sense."""
    return all(
        character in _WESTERN_CHARACTERS for character in set(text) if not character.isascii()
    )


def _decode_by_guess(content: bytes) -> tuple[str, str]:
    best = charset_normalizer.from_bytes(content[:_SAMPLE_BYTES]).best()
    if best is None or "\0" in str(best):
        raise SourceUnreadable("This is no text in any known encoding; save it as CSV in UTF-8.")
    return _decode_strictly(content, best.encoding), best.encoding


def _decode_strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SourceUnreadable(
            f"The text looks like {encoding}, but byte {error.start} is none; save it in UTF-8."
        ) from None
