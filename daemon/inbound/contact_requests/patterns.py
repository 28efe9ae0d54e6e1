"""Patterns over words: a small notation of the lexicon's files, and the search for them.

A pattern is a line of elements with spaces between them. Each matches words of one message:

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
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final

from msgspec import Struct

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
    """Tokens in a row, as the text that patterns are looked for in, and the places of each word."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        written = _write_words(tokens)
        self.text = "".join(written)
        self.starts = list(accumulate(map(len, written), initial=0))
        """Where each token begins in the text, and behind them where the text ends."""
        self.places = defaultdict[str, list[int]](list)
        """The tokens that are one word."""
        for index, word in enumerate(written):
            self.places[word].append(index)
        self.keys = {word: _list_keys(word) for word in self.places}
        """The keys that patterns are filed under which may begin with a word."""
        self.words_by_key = defaultdict[str, list[str]](list)
        for word, keys in self.keys.items():
            for key in keys:
                self.words_by_key[key].append(word)

    def list_places(self, words: Iterable[str]) -> list[int]:
        """Return the tokens that are one of these words, in no order."""
        written = [each for word in words for each in self.words_by_key.get(word, ())]
        return [place for each in written for place in self.places[each]]

    def get_text(self, start: int, end: int) -> str:
        """Return the text from one token to another, which is left out."""
        return self.text[self.starts[start] : self.starts[end]]


def _write_words(tokens: Sequence[Token]) -> list[str]:
    return [f"{token.word}' " if token.capitalised else f"{token.word} " for token in tokens]


def _list_keys(written: str) -> tuple[str, ...]:
    """Return the keys that patterns are filed under which may begin with this word."""
    word = written.rstrip("' ")
    keys = (word, word[:_PREFIX_LETTERS] + "*") if len(word) >= _PREFIX_LETTERS else (word,)
    if written.endswith("' "):
        return (*keys, "<Name>")
    return (*keys, "<n>") if word.isdecimal() else keys


class Match(Struct, eq=False):
    """Where a pattern was found: its label, and its tokens, end excluded."""

    label: str
    start: int
    end: int

    def overlaps(self, other: Match) -> bool:
        """Tell whether a token is in both."""
        return self.start < other.end and other.start < self.end


_Expressions = list[tuple[str, re.Pattern[str]]]
"""Regular expressions with their labels."""


class PatternSearch:
    """Patterns as they are looked for in one line.

    Where one may begin at all is known at once, by its first word: nowhere, for most patterns.
    """

    def __init__(self, line: WordLine, by_key: Mapping[str, _Expressions]) -> None:
        self._line = line
        self._tried: dict[int, _Expressions] = {}
        for shared in by_key.keys() & line.words_by_key.keys():
            for word in line.words_by_key[shared]:
                tried = [each for key in line.keys[word] for each in by_key.get(key, ())]
                self._tried |= dict.fromkeys(line.places[word], tried)

    @property
    def openings(self) -> Collection[int]:
        """Return the tokens that a pattern may begin with."""
        return self._tried.keys()

    def find_all(self) -> Iterator[Match]:
        """Yield, for each label and each word, a pattern that begins at this word."""
        for index in sorted(self._tried):
            yield from self.find_at(index)

    def find_at(self, index: int, end: int | None = None) -> list[Match]:
        """Return, for each label, a pattern that begins at one word, and ends before another."""
        text, starts = self._line.text, self._line.starts
        start, limit = starts[index], starts[-1 if end is None else end]
        matches: list[Match] = []
        for label, expression in self._tried.get(index, ()):
            if found := expression.match(text, start, limit):
                matches.append(Match(label, index, bisect_left(starts, found.end())))
        return matches

    def find_longest_at(self, index: int, end: int | None = None) -> Match | None:
        """Return the longest of the labels' patterns that :meth:`find_at` finds."""
        if index not in self._tried:
            return None
        return max(self.find_at(index, end), key=lambda each: each.end, default=None)


class _Pattern(Struct, frozen=True):
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

    def search(self, line: WordLine) -> PatternSearch:
        """Return the search for these patterns in one line."""
        return PatternSearch(line, self._by_key)

    def find_all(self, line: WordLine) -> Iterator[Match]:
        """Yield what :meth:`PatternSearch.find_all` finds in a line."""
        return self.search(line).find_all()

    def find_whole(self, tokens: Sequence[Token]) -> bool:
        """Tell whether all the words together are a pattern."""
        written = _write_words(tokens)
        return bool(written) and any(
            expression.fullmatch("".join(written))
            for key in _list_keys(written[0])
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
