"""Finds the encoding of a text file, and refuses a file where it stays in doubt.

Lists here are in Spanish, Portuguese, English and their neighbours, mostly from Windows. So UTF-8
is tried first, then cp1252 is preferred over what fits as well, and the rest must prove itself.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from daemon.api.imports import MAX_FILE_BYTES, SourceUnreadable
from daemon.plugins.sync.file_kinds import refuse_other_kinds

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16"),
)
_ACCEPTED: Final = {"cp1252": 0.0, "mac_roman": 0.5, "cp850": 0.5}
"""Encodings that are taken without a question, with the price that each has from the start."""
_SHOWN: Final = (
    *_ACCEPTED,
    *("cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859_2"),
    *("gb18030", "big5", "shift_jis", "euc_kr"),
)
"""Encodings of which a person is shown what the file would read in them."""
_NAMED: Final = (
    *_SHOWN,
    *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"),
    *("cp437", "cp852", "cp857", "cp858", "cp860", "cp865", "cp866", "cp1257", "cp1258"),
    *(f"iso8859_{part}" for part in (3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *("mac_latin2", "mac_cyrillic", "mac_greek", "mac_turkish", "koi8_u", "cp874", "tis_620"),
    *("gbk", "gb2312", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp"),
)
_WITHOUT_MARK: Final = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}
"""Codecs for files without the mark that these ask for: as Windows writes them."""
_HOME_LETTERS: Final = frozenset("áéíóúüñàèìòùâêîôûãõçäöëïß" + "ÁÉÍÓÚÜÑÀÈÌÒÙÂÊÎÔÛÃÕÇÄÖËÏ")
"""Letters of Spanish, Portuguese, Catalan, Galician, Basque, French, Italian and German."""
_TYPOGRAPHY: Final = frozenset("¿¡«»“”‘’„‚…–—ªº°€·•´™®©²³½¼£§")  # noqa: RUF001 - these very characters
_WORD: Final = re.compile(rb"[A-Za-z'\x80-\xff]{1,60}")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]")
_BLOCK_BYTES: Final = 2**20
_MAX_DISTINCT_WORDS: Final = 20_000
_EXAMPLES: Final = 3
_KEPT_LINES: Final = 20
_EXAMPLE_LENGTH: Final = 40
_CLEAR_LEAD: Final = 1.0
_MAX_ODD_SHARE: Final = 1 / 3
_MAX_NUL_SHARE: Final = 0.05
_MAX_STRAY_BYTES: Final = 3


class TextEncoding(Struct, frozen=True):
    """An encoding: the codec to open the file with, and its name for people."""

    codec: str
    label: str


def find_encoding(path: Path, said: str | None, *, vcard: bool = False) -> TextEncoding:
    """Return the encoding of a text file; ``said`` is what a person named, kept to strictly.

    With ``vcard``, a vCard is what is looked for, so it is not refused. Every byte of the file fits
    in the encoding. Raises :class:`SourceUnreadable` for a file that is missing,
    too large, no text, in several encodings, or in one that stays in doubt.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SourceUnreadable(f"{path.name} is larger than 200 MB; split it.")
        with path.open("rb") as file:
            head = file.read(_BLOCK_BYTES)
        refuse_other_kinds(head, vcard=vcard)
        marked = next((each for each in _MARKS if head.startswith(each[0])), None)
        if said is not None:
            return _use_named(path, said, marked)
        if marked is not None:
            return _check(path, TextEncoding(*marked[1:]))
        return _recognise(path)
    except OSError as error:
        raise SourceUnreadable(f"{path.name} can't be read: {error.strerror}.") from None


def _use_named(path: Path, said: str, marked: tuple[bytes, str, str] | None) -> TextEncoding:
    try:
        codec = codecs.lookup(said).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        codec = ""
    if codec not in {codecs.lookup(name).name for name in _NAMED}:
        raise SourceUnreadable(
            f"There is no encoding {said!r}; write it as utf-8, cp1252, mac_roman or utf-16."
        )
    if marked is None:
        return _check(path, TextEncoding(_WITHOUT_MARK.get(codec, codec), said.lower()))
    if not codec.startswith(marked[2]):
        raise SourceUnreadable(
            f"The file begins with the mark of {marked[2]}, so it is not {said};"
            " leave the encoding out."
        )
    return _check(path, TextEncoding(*marked[1:]))


def _check(path: Path, encoding: TextEncoding) -> TextEncoding:
    """Return the encoding if every byte of the file fits in it."""
    # With utf-8-sig, places would be counted from behind the mark.
    codec = encoding.codec.removesuffix("-sig")
    decoder = codecs.getincrementaldecoder(codec)()
    read = lines = 0
    with path.open("rb") as file:
        for block in _read_blocks(file):
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                place = max(error.start - kept, 0)
                line = lines + block.count(b"\n", 0, place) + 1
                raise SourceUnreadable(
                    f"Byte {read + place} (line {line}) does not fit in {encoding.label};"
                    " name another encoding with --encoding, or save the file as UTF-8."
                ) from None
            read += len(block)
            lines += block.count(b"\n")
    return encoding


def _read_blocks(file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the file in blocks, and an empty one at its end."""
    while block := file.read(_BLOCK_BYTES):  # type: ignore[attr-defined]
        yield block
    yield b""


class _Survey(Struct):
    """What one pass over the bytes of a file counts."""

    size: int = 0
    nuls: list[int] = field(default_factory=lambda: [0, 0])
    """NUL bytes at even and at odd places."""
    controls: int = 0
    utf8: bool = True

    def take(self, block: bytes) -> None:
        for start in (0, 1):
            self.nuls[(self.size + start) % 2] += block[start::2].count(0)
        self.controls += len(_CONTROL.findall(block))
        self.size += len(block)

    def find_utf16(self) -> TextEncoding | None:
        """Return UTF-16 without a mark: in it, half of the bytes of our letters are NUL."""
        even, odd = self.nuls
        for many, few, codec in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
            if many > self.size / 2 * 0.2 and many > 10 * few:
                return TextEncoding(codec, codec)
        return None

    def is_text(self) -> bool:
        allowed = max(_MAX_STRAY_BYTES, self.size * _MAX_NUL_SHARE)
        return sum(self.nuls) <= allowed and self.controls <= allowed / 5 + _MAX_STRAY_BYTES


def _recognise(path: Path) -> TextEncoding:
    survey = _Survey()
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        for block in _read_blocks(file):
            survey.take(block)
            try:
                if survey.utf8:
                    decoder.decode(block, final=not block)
            except UnicodeDecodeError:
                survey.utf8 = False
    utf16 = survey.find_utf16()
    if utf16 is not None:
        return _check(path, utf16)
    if not survey.is_text():
        raise SourceUnreadable("This is not text in any known encoding; save it as CSV in UTF-8.")
    return TextEncoding("utf-8", "utf-8") if survey.utf8 else _choose(_read_words(path))


class _Words(Struct):
    """The words with letters beyond ASCII of a file that is not UTF-8, and some of its lines."""

    counts: Counter[bytes] = field(default_factory=Counter)
    utf8_lines: list[tuple[int, bytes]] = field(default_factory=list)
    """Lines that are UTF-8 although the file is not: number and bytes."""
    other_lines: list[tuple[int, bytes]] = field(default_factory=list)

    def take(self, number: int, line: bytes) -> None:
        try:
            line.decode("utf-8")
            lines = self.utf8_lines
        except UnicodeDecodeError:
            lines = self.other_lines
        if len(lines) < _KEPT_LINES:
            lines.append((number, line))
        for word in _WORD.findall(line):
            if _HIGH.search(word) and (
                word in self.counts or len(self.counts) < _MAX_DISTINCT_WORDS
            ):
                self.counts[word] += 1


def _read_words(path: Path) -> _Words:
    words = _Words()
    with path.open("rb") as file:
        for number, line in enumerate(_read_lines(file), 1):
            if not line.isascii():
                words.take(number, line)
    return words


def _read_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines ended by LF, CR or both; one of more than a megabyte in pieces."""
    rest = b""
    for block in _read_blocks(file):
        # A CR at the end may be half of an end of line: wait for what follows.
        *lines, rest = re.split(rb"\r\n|\n|\r(?!\Z)", rest + block)
        yield from lines
        if len(rest) > _BLOCK_BYTES:
            yield rest
            rest = b""
    yield rest


def _choose(words: _Words) -> TextEncoding:
    """Return the encoding that fits the words clearly best. Raises SourceUnreadable for a doubt."""
    if words.utf8_lines:
        raise SourceUnreadable(_describe_mix(words))
    prices = {name: _price(words.counts, name) for name in _SHOWN}
    best = min(_ACCEPTED, key=lambda name: prices[name] + _ACCEPTED[name])
    odd = prices[best] > _MAX_ODD_SHARE * words.counts.total()
    if odd or (best != "cp1252" and prices["cp1252"] < prices[best] + _CLEAR_LEAD):
        raise SourceUnreadable(_describe_doubt(words, sorted(_SHOWN, key=lambda n: prices[n])))
    return TextEncoding(best, best)


def _price(counts: Counter[bytes], name: str) -> float:
    """Return how strange the words look in an encoding; infinite where one does not fit in it."""
    total = 0.0
    for word, count in counts.items():
        try:
            total += _price_word(word.decode(name)) * count
        except UnicodeDecodeError:
            return float("inf")
    return total


_STRANGE, _RARE, _SLIGHT = 3.0, 1.0, 0.6


def _price_word(word: str) -> float:
    letters = [letter for letter in word if letter.isalpha()]
    foreign = sum(not letter.isascii() for letter in letters)
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in letters}
    if len(scripts) > 1:
        return _STRANGE
    # Cyrillic read as Western letters: nobody writes three accents in a row.
    if scripts == {"LATIN"} and foreign == len(letters) >= _EXAMPLES:
        return _STRANGE
    padded = f" {word} "
    return max(
        _price_character(padded[place - 1], padded[place], padded[place + 1])
        for place in range(1, len(padded) - 1)
    )


def _price_character(before: str, letter: str, after: str) -> float:
    if letter.isascii():
        return 0.0
    if letter.isalpha() and letter not in "ªº":
        jumps = (letter.isupper() and before.islower()) or (
            letter.islower() and before.isupper() and after.isupper()
        )
        return _STRANGE if jumps else 0.0 if letter in _HOME_LETTERS else _RARE
    if before.isalpha() and after.isalpha():
        return {"’": _SLIGHT, "·": _SLIGHT, "\xa0": _RARE}.get(letter, _STRANGE)
    return 0.0 if letter in _TYPOGRAPHY or letter.isspace() else _STRANGE


def _describe_mix(words: _Words) -> str:
    (utf8_line, utf8_text), (line, text) = words.utf8_lines[0], words.other_lines[0]
    return (
        f"The file mixes encodings: line {utf8_line} reads «{_show(utf8_text, 'utf-8')}» (utf-8)"
        f" or «{_show(utf8_text, 'cp1252')}» (cp1252), but line {line} reads"
        f" «{_show(text, 'cp1252')}» (cp1252). Save it in one encoding, or name the one to read"
        " all of it in with --encoding."
    )


def _describe_doubt(words: _Words, names: list[str]) -> str:
    # The line that tells the likely encodings apart best.
    line, text = max(
        words.other_lines,
        key=lambda each: len({_show(each[1], name) for name in names[:_EXAMPLES]}),
    )
    readings: dict[str, str] = {}
    for name in names:
        readings.setdefault(_show(text, name), name)
    shown = ", ".join(
        f"«{reading}» ({name})" for reading, name in islice(readings.items(), _EXAMPLES)
    )
    return (
        f"The encoding of the file is in doubt: line {line} would read {shown}."
        " Name the right one with --encoding, or save the file as UTF-8."
    )


def _show(line: bytes, name: str) -> str:
    """Return the first cell of a line that has a letter beyond ASCII, in an encoding."""
    cells = re.split(rb"[;,\t|]", line)
    cell = next((each for each in cells if not each.isascii()), line)
    text = cell.decode(name, errors="replace").strip().strip('"')
    return "".join(each if each.isprintable() else "�" for each in text[:_EXAMPLE_LENGTH])
