"""Patterns over words: a small notation of the lexicon's files, and the search for them.

A pattern is a line of elements with spaces between them. Each stands for words of one message:

===========  =============================================
``word``     this word
``(a|b c)``  one of these words, or of these lines of words
``abcd*``    a word that begins with these letters, four or more
``<n>``      a number
``<age>``    a number from 1 to 17
``<Name>``   a word that was written with a capital letter
``_``        any one word
``...``      none to three words
``?``        a question mark
``|``        the end of a clause
``a?``       the element, or nothing
===========  =============================================

Each becomes a regular expression over the words in a row. Nothing in it repeats without a bound, so
a search takes time in proportion to the message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from daemon.inbound.contact_requests.folding import BREAK, QUESTION, Token

_PREFIX_LETTERS: Final = 4
_WORD: Final = r"[^\s|?']+'? "
_CLASSES: Final = {
    "<n>": r"\d+ ",
    "<age>": r"(?:[1-9]|1[0-7]) ",
    "<Name>": r"[^\s|?']+' ",
    "_": _WORD,
    "...": rf"(?:{_WORD}){{0,3}}",
    "?": r"\? ",
    "|": r"\| ",
}
_ELEMENTS: Final = re.compile(r"\([^()]*\)\??|[^\s()]+")


class WordLine:
    """Tokens in a row, as the text that patterns are looked for in."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        words = [_write_word(token) for token in tokens]
        self.text = "".join(words)
        self._lengths = [len(word) for word in words]

    @cached_property
    def starts(self) -> list[int]:
        """Return where each token begins in the text, and behind them where the text ends."""
        starts, at = [0], 0
        for length in self._lengths:
            at += length
            starts.append(at)
        return starts

    @cached_property
    def keys(self) -> list[tuple[str, ...]]:
        """Return, for each token, the keys that patterns are filed under which may begin there."""
        return [_list_keys(token) for token in self.tokens]

    @cached_property
    def indexes(self) -> dict[int, int]:
        """Return the token that begins at a place in the text."""
        return {start: index for index, start in enumerate(self.starts)}


def _list_keys(token: Token) -> tuple[str, ...]:
    word = token.word
    keys = (word, word[:_PREFIX_LETTERS] + "*") if len(word) >= _PREFIX_LETTERS else (word,)
    if token.capitalised:
        return (*keys, "<Name>")
    return (*keys, "<n>") if word.isdecimal() else keys


def _write_word(token: Token) -> str:
    return f"{token.word}' " if token.capitalised else f"{token.word} "


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern was found: the label it stands under, and its tokens, end excluded."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern as a regular expression, and the keys of the words that it may begin with."""

    expression: str
    keys: frozenset[str]


class PatternSet:
    """Patterns under labels, ready to be searched for."""

    def __init__(self, patterns: Mapping[str, Iterable[str]]) -> None:
        filed: dict[str, dict[str, list[str]]] = {}
        for label, lines in patterns.items():
            # A longer line first: of several that begin at one word, it says more.
            for line in sorted(lines, key=len, reverse=True):
                pattern = _compile_pattern(line)
                for key in pattern.keys:
                    filed.setdefault(key, {}).setdefault(label, []).append(pattern.expression)
        self._by_key = {
            key: [(label, re.compile("|".join(each))) for label, each in by_label.items()]
            for key, by_label in filed.items()
        }

    def find_all(self, line: WordLine) -> Iterator[Match]:
        """Yield, for each label and each word, a pattern that begins at this word."""
        by_key = self._by_key
        for index, keys in enumerate(line.keys):
            if any(key in by_key for key in keys):
                yield from self.find_at(line, index)

    def find_at(self, line: WordLine, index: int) -> Iterator[Match]:
        """Yield, for each label, a pattern that begins at one word."""
        for key in line.keys[index]:
            for label, expression in self._by_key.get(key, ()):
                if found := expression.match(line.text, line.starts[index]):
                    yield Match(label, index, line.indexes[found.end()])

    def find_longest_at(self, line: WordLine, index: int) -> Match | None:
        """Return the longest of the labels' patterns that begin at one word."""
        return max(self.find_at(line, index), key=lambda each: each.end, default=None)

    def find_whole(self, line: WordLine) -> bool:
        """Tell whether all the words together are a pattern."""
        return bool(line.tokens) and any(
            expression.fullmatch(line.text)
            for key in line.keys[0]
            for _, expression in self._by_key.get(key, ())
        )


def _compile_pattern(line: str) -> _Pattern:
    if _ELEMENTS.sub("", line).strip():
        raise ValueError(f"{line!r}: a group has no end, or one stands within another")
    expression, keys, begun = "", set[str](), False
    for text in _ELEMENTS.findall(line):
        optional = len(text) > 1 and text.endswith("?")
        element = _compile_element(text.removesuffix("?") if optional else text)
        expression += f"(?:{element.expression})?" if optional else element.expression
        if not begun:
            keys |= element.keys
        begun = begun or not optional
    return _Pattern(expression, frozenset(keys))


def _compile_element(text: str) -> _Pattern:
    alternatives = [each.strip() for each in text.strip("()").split("|")] if text != "|" else ["|"]
    compiled = [_compile_alternative(each) for each in alternatives]
    expression = "|".join(each.expression for each in compiled)
    return _Pattern(f"(?:{expression})", frozenset().union(*(each.keys for each in compiled)))


def _compile_alternative(text: str) -> _Pattern:
    if " " in text:
        parts = [_compile_alternative(part) for part in text.split()]
        return _Pattern("".join(part.expression for part in parts), parts[0].keys)
    if text in _CLASSES:
        keys = {"<age>": "<n>", "?": QUESTION, "|": BREAK}
        return _Pattern(_CLASSES[text], frozenset({keys.get(text, text)}))
    if text.endswith("*"):
        prefix = text.removesuffix("*")
        if len(prefix) < _PREFIX_LETTERS:
            raise ValueError(f"{text!r}: a beginning needs {_PREFIX_LETTERS} letters")
        return _Pattern(rf"{prefix}[^\s|?']*'? ", frozenset({prefix[:_PREFIX_LETTERS] + "*"}))
    return _Pattern(rf"{text}'? ", frozenset({text}))
