"""Splits a file of vCards into cards and property lines, and has the library read one line.

The library reads cards too, but loses the rest of a file at one that is broken, decodes every
photo, and takes a time for a line without a colon that doubles with each comma in it. So it is
given single lines of the properties that are read, and never one of that kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, TextIO

from msgspec import Struct, field

MAX_PROPERTIES: Final = 500
"""The most lines of a card that are read: more are not one person's."""
_WANTED: Final = frozenset(
    {"VERSION", "FN", "N", "ORG", "TEL", "EMAIL", "ADR", "NOTE", "X-ABLABEL"}
)
_BEGIN: Final = re.compile(r"\s*BEGIN\s*:\s*VCARD\s*", re.IGNORECASE)
_END: Final = re.compile(r"\s*END\s*:\s*VCARD\s*", re.IGNORECASE)
_AGENT: Final = re.compile(r"AGENT[^:]*:\s*", re.IGNORECASE)
_PROPERTY: Final = re.compile(r"(?:[\w-]+\.)?(?P<name>[A-Za-z][\w-]*)(?=[;:])")
_HEAD: Final = re.compile(r'(?:[^":]|"[^"]*")*:')
_QUOTED_PRINTABLE: Final = re.compile(r"quoted-printable", re.IGNORECASE)
_MAX_LINE_CHARACTERS: Final = 100_000
_MAX_PROPERTY_CHARACTERS: Final = 200_000
_MAX_HEAD_CHARACTERS: Final = 1_000
_MAX_EXTRA_VALUES: Final = 8


class RawCard(Struct):
    """A card before it is read: its number, the line where it begins, and the lines of it.

    ``properties`` are the wanted ones, each as its name and its unfolded line, and one more than
    ``MAX_PROPERTIES`` of a longer card. ``ended`` is whether the card has an end.
    """

    number: int
    line: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False


def split_cards(file: TextIO) -> Iterator[RawCard]:
    """Yield every card of a file, also one that has no end. A card inside a card is left out."""
    card: RawCard | None = None
    lines = _Unfolding()
    number = inside = 0
    for place, line in _read_lines(file):
        begins, ends = bool(_BEGIN.fullmatch(line)), bool(_END.fullmatch(line))
        if inside:
            inside += begins - ends
        elif begins and card is not None and _AGENT.fullmatch(lines.text):
            inside = 1
        elif begins:
            if card is not None:
                yield card
            number += 1
            card, lines = RawCard(number, place), _Unfolding()
        elif ends and card is not None:
            lines.close(card)
            card.ended = True
            yield card
            card = None
        elif card is not None:
            lines.take(line, card)
    if card is not None:
        yield card


class _Unfolding:
    """The property line that is being read, which may go on in the next lines of the file."""

    def __init__(self) -> None:
        self.text = ""
        self._name = ""
        self._quoted_printable = False

    def take(self, line: str, card: RawCard) -> None:
        """Take the next line of the file: it goes on with the property, or begins another."""
        if self._quoted_printable and self.text.endswith("="):
            self._extend("\n" + line)  # the library takes a soft break for what it is
        elif line.startswith((" ", "\t")):
            self._extend(line[1:])
        else:
            self.close(card)
            match = _PROPERTY.match(line)
            self._name = match["name"].upper() if match else ""
            self.text = line
            head = _HEAD.match(line)
            self._quoted_printable = bool(head and _QUOTED_PRINTABLE.search(head[0]))

    def close(self, card: RawCard) -> None:
        """Hand the property that was read to its card, if it is wanted."""
        if self._name in _WANTED and len(card.properties) <= MAX_PROPERTIES:
            card.properties.append((self._name, self.text))
        self._name = self.text = ""

    def _extend(self, text: str) -> None:
        # A photo is a thousand lines of nothing that is read: only its end matters.
        if self._name not in _WANTED:
            self.text = text[-1:]
        elif len(self.text) < _MAX_PROPERTY_CHARACTERS:
            self.text += text


def _read_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, without its end; of a very long one its beginning."""
    number = 0
    while line := file.readline(_MAX_LINE_CHARACTERS):
        number += 1
        rest = line
        while len(rest) == _MAX_LINE_CHARACTERS and not rest.endswith(("\n", "\r")):
            rest = file.readline(_MAX_LINE_CHARACTERS)
        yield number, line.rstrip("\r\n").replace("\0", "")


def read_content_line(text: str) -> Any | None:  # noqa: ANN401 - the library has no types
    """Return a property line as the library reads it, or None for one that it can't read.

    Of the result, ``group``, ``params`` and ``singletonparams`` are used, and ``value``: a text, or
    the library's own object for N, ORG and ADR.
    """
    head = _HEAD.match(text)
    if head is None or not _is_harmless(head[0]):
        return None
    # The library knows the name of this encoding in capitals only.
    text = _QUOTED_PRINTABLE.sub("QUOTED-PRINTABLE", head[0]) + text[head.end() :]
    library = _load_library()
    try:
        line = library.base.textLineToContentLine(text)
        library.vCard().add(line)
        line = line.transformToNative()
    except Exception:  # noqa: BLE001 - it raises whatever its codecs and regular expressions raise
        return None
    return None if isinstance(line.value, bytes) else line


def _is_harmless(head: str) -> bool:
    """Return whether the library reads the parameters of a property in a time that is bounded."""
    extra = (max(part.count("=") + part.count(",") - 1, 0) for part in head.split(";"))
    return len(head) <= _MAX_HEAD_CHARACTERS and sum(extra) <= _MAX_EXTRA_VALUES


@cache
def _load_library() -> Any:  # noqa: ANN401 - the library has no types
    # Late: it takes a quarter of a second, and a daemon that imports no card needs none of it.
    import vobject  # noqa: PLC0415

    return vobject
