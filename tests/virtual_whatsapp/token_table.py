"""The dictionary of WhatsApp's binary XML, read out of the linked-device library's own file.

The library is an ELF file of Go. Its two tables of strings are arrays of (address, length); the
addresses are in the relocations that the loader applies, so no library has to be loaded.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIRST_TOKEN = b"xmlstreamstart"
"""Entry 1 of the table of single bytes; entry 0 is empty."""
SINGLE_TOKENS = 236
DOUBLE_TABLES = 4
TOKENS_PER_TABLE = 256
_STRING_BYTES = 16
_SLICE_BYTES = 24
_WORD = struct.Struct("<Q")
_RELOCATION = struct.Struct("<QQq")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_RELA_SECTION = 4
_EMPTY_SECTION = 8


class TokensNotFound(Exception):
    """The library's file holds no such tables: its format changed.

    ``tests/virtual_whatsapp/token_table.py`` says how they were found; look whether the library
    still names its first token ``xmlstreamstart``, and whether it is still built by Go.
    """

    def __str__(self) -> str:
        """Say what to do."""
        return (
            "The token tables of WhatsApp's binary XML are not where they were in this version of"
            " the linked-device library. See tests/virtual_whatsapp/token_table.py: how it finds"
            " them, and what an upgrade may have changed."
        )


@dataclass(frozen=True, slots=True)
class TokenTable:
    """``single`` by one byte; ``double`` by the number of the table and one byte."""

    single: tuple[str, ...]
    double: tuple[tuple[str, ...], ...]


@functools.cache
def read_token_table(library: Path) -> TokenTable:
    """Return the tables of a library's file; raise :class:`TokensNotFound` where there are none."""
    image = _ElfImage(library.read_bytes())
    try:
        start = image.find_string_header(FIRST_TOKEN) - _STRING_BYTES
        single = tuple(image.read_strings(start, SINGLE_TOKENS))
        double = _read_double_tables(image)
    except (LookupError, struct.error, ValueError):
        raise TokensNotFound from None
    if single[0] or single[3] != "s.whatsapp.net":
        raise TokensNotFound
    return TokenTable(single, double)


def _read_double_tables(image: _ElfImage) -> tuple[tuple[str, ...], ...]:
    """Find the array of slices: four in a row, each of 256 strings, the first with `read-self`."""
    length = _WORD.pack(TOKENS_PER_TABLE) * 2  # of a slice: its length, then its capacity
    place = image.data.find(length)
    while place >= 0:
        start = image.address(place - 8)
        if all(
            image.read_word(start + number * _SLICE_BYTES + 8) == TOKENS_PER_TABLE
            for number in range(DOUBLE_TABLES)
        ):
            tables = tuple(
                tuple(image.read_strings(image.pointers[start + number * _SLICE_BYTES], 256))
                for number in range(DOUBLE_TABLES)
                if start + number * _SLICE_BYTES in image.pointers
            )
            if len(tables) == DOUBLE_TABLES and tables[0][0] == "read-self":
                return tables
        place = image.data.find(length, place + 8)
    raise LookupError


class _ElfImage:
    """A 64-bit ELF file: its bytes by address, and the pointers that the loader would write."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._sections = _read_sections(data)
        self.pointers = _read_pointers(data, self._sections)

    def address(self, offset: int) -> int:
        """Return the address of a place in the file."""
        for _, address, begin, size in self._sections:
            if address and begin <= offset < begin + size:
                return offset - begin + address
        raise LookupError

    def offset(self, address: int) -> int:
        """Return the place in the file of an address."""
        for _, begin, offset, size in self._sections:
            if begin and begin <= address < begin + size:
                return address - begin + offset
        raise LookupError

    def read_word(self, address: int) -> int:
        """Return the number at an address."""
        word: int = _WORD.unpack_from(self.data, self.offset(address))[0]
        return word

    def read_strings(self, address: int, count: int) -> list[str]:
        """Return so many of Go's strings, from an array of headers."""
        strings = []
        for place in range(address, address + count * _STRING_BYTES, _STRING_BYTES):
            length = self.read_word(place + 8)
            begin = self.offset(self.pointers[place]) if length else 0
            strings.append(self.data[begin : begin + length].decode())
        return strings

    def find_string_header(self, text: bytes) -> int:
        """Return the address of the header that points to a text of just this length."""
        target = self.address(self.data.index(text))
        for place, pointer in self.pointers.items():
            if pointer == target and self.read_word(place + 8) == len(text):
                return place
        raise LookupError


def _read_sections(data: bytes) -> list[tuple[int, int, int, int]]:
    """Return kind, address, offset and size of each section that lies in the file."""
    table, entry_bytes, count = (
        _WORD.unpack_from(data, 40)[0],
        *struct.unpack_from("<HH", data, 58),
    )
    sections = []
    for place in range(table, table + entry_bytes * count, entry_bytes):
        _, kind, _, address, offset, size, *_ = _SECTION.unpack_from(data, place)
        if kind != _EMPTY_SECTION:
            sections.append((kind, address, offset, size))
    return sections


def _read_pointers(data: bytes, sections: list[tuple[int, int, int, int]]) -> Mapping[int, int]:
    pointers: dict[int, int] = {}
    for kind, _, offset, size in sections:
        if kind == _RELA_SECTION:
            whole = size - size % _RELOCATION.size
            entries = _RELOCATION.iter_unpack(data[offset : offset + whole])
            pointers |= {place: addend for place, _, addend in entries}
    return pointers
