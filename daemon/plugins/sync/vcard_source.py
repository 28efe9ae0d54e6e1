"""vCard 2.1, 3.0 and 4.0 as an import source: one row a card, mobile numbers apart from others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

from msgspec import Struct, field

from daemon.api.imports import MAX_CELL_CHARACTERS, SourceOptions, SourceRow, SourceUnreadable
from daemon.plugins.sync.text_encoding import find_encoding
from daemon.plugins.sync.vcard_lines import (
    MAX_PROPERTIES,
    RawCard,
    read_content_line,
    split_cards,
)

MAX_CARDS: Final = 100_000
_TEXT_HEADERS: Final = ("organization", "email", "city", "notes")
_MAX_NUMBERS: Final = 20
"""The most numbers of either kind that a card may have."""
_MOBILE_WORDS: Final = frozenset(
    ("cell", "mobile", "iphone", "whatsapp", "celular", "cel", "movil", "móvil", "telemóvel")
)
_NO_PHONE: Final = re.compile(r"fax|pager|modem|bbs|telex|textphone|isdn")
_SYSTEM_LABEL: Final = re.compile(r"_\$!<(.*)>!\$_")
_TEL_SCHEME: Final = re.compile(r"tel:([^;]*)", re.IGNORECASE)
_LAST_PREFERENCE: Final = 101
"""What a number without a preference has; vCard 4.0 counts from 1, the first, to 100."""


def open_vcards(path: Path, options: SourceOptions) -> VcardFile:
    """Open a file of cards; raise :class:`SourceUnreadable` for what has none."""
    encoding = find_encoding(path, options.encoding, vcard=True)
    with path.open(encoding=encoding.codec, newline="") as file:
        return VcardFile(file, encoding.label)


class VcardFile:
    """A file of cards. They are read at once, without their photos, and kept as rows."""

    def __init__(self, file: TextIO, encoding: str) -> None:
        versions: set[str] = set()
        cards = [_read_card(raw, versions) for raw in islice(split_cards(file), MAX_CARDS + 1)]
        if len(cards) > MAX_CARDS:
            raise SourceUnreadable(f"The file has more than {MAX_CARDS:,} cards; split it.")
        if not cards:
            raise SourceUnreadable("The file has no card: one begins with a line BEGIN:VCARD.")
        version = " and ".join(sorted(versions))
        self.form = f"vCard {version}, {encoding}" if version else f"vCard, {encoding}"
        left_out = sum(card.left_out for card in cards)
        self.remarks: Sequence[str] = (
            (f"Texts in cards that can't be read or are too long were left out: {left_out:,}.",)
            if left_out
            else ()
        )
        self._rows = tuple(_lay_out(cards))

    def rows(self) -> Iterator[SourceRow]:
        """Yield a header as row 0, then every card, numbered from 1."""
        yield from self._rows


class _Card(Struct):
    """A card as read. Numbers are in order of preference, other texts by header.

    ``left_out`` counts texts of it that could not be read.
    """

    name: str = ""
    mobiles: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    problem: str = ""


def _lay_out(cards: Sequence[_Card]) -> Iterator[SourceRow]:
    """Yield the header and a row for each card, with as many columns as numbers need."""
    mobiles = max(1, *(len(card.mobiles) for card in cards))
    phones = max(1, *(len(card.phones) for card in cards))
    headers = ("name", *_name_columns("mobile phone", mobiles), *_name_columns("phone", phones))
    yield SourceRow(0, (*headers, *_TEXT_HEADERS))
    for number, card in enumerate(cards, 1):
        if card.problem:
            yield SourceRow(number, (), card.problem)
            continue
        cells = [
            *(card.name, *card.mobiles, *[""] * (mobiles - len(card.mobiles))),
            *(*card.phones, *[""] * (phones - len(card.phones))),
            *(card.texts.get(header, "") for header in _TEXT_HEADERS),
        ]
        yield SourceRow(number, tuple(cells))


def _name_columns(name: str, count: int) -> list[str]:
    return [name, *(f"{name} {number}" for number in range(2, count + 1))]


def _read_card(raw: RawCard, versions: set[str]) -> _Card:
    """Return a card; what is wrong with all of it is in ``problem``."""
    place = f"Card {raw.number} (line {raw.line})"
    if not raw.ended:
        return _Card(problem=f"{place} has no END:VCARD, so it was cut off, and is left out.")
    if len(raw.properties) > MAX_PROPERTIES:
        return _Card(problem=f"{place} has too many lines for one person, and is left out.")
    card = _Card()
    lines: dict[str, list[Any]] = {}
    for name, text in raw.properties:
        line = read_content_line(text)
        if line is not None:
            lines.setdefault(name, []).append(line)
        elif name == "TEL":
            return _Card(problem=f"{place} has a number that can't be read, and is left out.")
        else:
            card.left_out += 1
    versions.update(str(line.value).strip() for line in lines.get("VERSION", ())[:1])
    _sort_numbers(card, lines)
    if max(len(card.mobiles), len(card.phones)) > _MAX_NUMBERS:
        return _Card(problem=f"{place} has too many numbers for one person, and is left out.")
    _read_texts(card, lines)
    return card


def _sort_numbers(card: _Card, lines: Mapping[str, Sequence[Any]]) -> None:
    """Put each number of a card among mobile numbers or others, the preferred first; no fax."""
    labels = {line.group: str(line.value) for line in lines.get("X-ABLABEL", ()) if line.group}
    found: dict[str, tuple[int, bool, str]] = {}
    for line in lines.get("TEL", ()):
        types, preference = _read_types(line)
        label = labels.get(line.group, "")
        if match := _SYSTEM_LABEL.fullmatch(label):
            label = match[1]
        words = types | set(re.findall(r"\w+", label.casefold()))
        text = _read_number(line)
        if text and not any(map(_NO_PHONE.search, words)):
            digits = re.sub(r"\D", "", text)
            number = (preference, bool(words & _MOBILE_WORDS), text)
            found[digits] = min(number, found.get(digits, number))
    for _, mobile, text in sorted(found.values(), key=lambda number: number[0]):
        (card.mobiles if mobile else card.phones).append(text)


def _read_types(line: Any) -> tuple[set[str], int]:  # noqa: ANN401 - the library has no types
    """Return the type words of a number, also those without TYPE=, and its preference."""
    said = [*line.singletonparams, *line.params.get("TYPE", ())]
    words = {word.strip().casefold() for each in said for word in each.split(",")}
    numbered = "".join(line.params.get("PREF", ()))
    if numbered.isdecimal():
        return words, min(int(numbered[:3]), _LAST_PREFERENCE)
    return words, 1 if "pref" in words else _LAST_PREFERENCE


def _read_number(line: Any) -> str:  # noqa: ANN401 - the library has no types
    """Return the text of a number: of a ``tel:`` address without parameters, or its WhatsApp id."""
    text = str(line.value).strip()
    if match := _TEL_SCHEME.match(text):
        text = match[1]
    if not any(character.isdigit() for character in text):
        text = "".join(f"+{each}" for each in line.params.get("WAID", ())[:1] if each.isdecimal())
    return text[:MAX_CELL_CHARACTERS]


def _read_texts(card: _Card, lines: Mapping[str, Sequence[Any]]) -> None:
    card.name = _join(lines.get("FN", ())[:1]) or _join(lines.get("N", ())[:1])
    emails = sorted(lines.get("EMAIL", ()), key=lambda line: _read_types(line)[1])
    organization = [_flatten(line.value)[:1] for line in lines.get("ORG", ())[:1]]
    cities = [_flatten(line.value.city) for line in lines.get("ADR", ())]
    card.texts = {
        "organization": " ".join(text for texts in organization for text in texts),
        "email": _join(emails[:1]),
        "city": next((" ".join(texts) for texts in cities if any(texts)), ""),
        "notes": "\n".join(str(line.value).strip() for line in lines.get("NOTE", ())),
    }
    for header, text in (("name", card.name), *card.texts.items()):
        if len(text) > MAX_CELL_CHARACTERS:
            card.left_out += 1
            if header == "name":
                card.name = ""
            else:
                card.texts[header] = ""


def _join(lines: Sequence[Any]) -> str:
    """Return the text of a line, with one blank between words."""
    return " ".join(" ".join(str(line.value) for line in lines).split())


def _flatten(value: object) -> list[str]:
    """Return a component as texts: the library gives a text, or a list of texts and lists."""
    if isinstance(value, list | tuple):
        return [text for each in value for text in _flatten(each)]
    return [str(value).strip()]
